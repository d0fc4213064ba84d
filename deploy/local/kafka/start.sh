#!/usr/bin/env bash
# Run Apache Kafka (KRaft, broker and controller in one process) on loopback.
# The jars come from Maven once and are shared by every clone of this repository.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'USAGE'
Usage: start.sh --port PORT --data DIR [--advertised-port PORT] [--controller-port PORT]
                [--heap SIZE] [--settings FILE]
       start.sh --jars

  --port PORT             where clients connect, on 127.0.0.1
  --data DIR              holds the log segments, server.properties and kafka.log; kept between starts
  --advertised-port PORT  where clients are sent to, on 127.0.0.1: a proxy's (default: PORT)
  --controller-port PORT  for the broker's own use, on 127.0.0.1 (default: PORT + 1)
  --heap SIZE             Java heap (default: 768m)
  --settings FILE         more lines for server.properties, which count over those written here
  --jars                  fetch the jars if they are not here yet, print their folder and exit

Stays in the foreground; Ctrl-C or SIGTERM stops it cleanly.
USAGE
}

fail() {
  echo "start.sh: $*" >&2
  exit 2
}

port="" data="" advertised_port="" controller_port="" heap=768m settings="" jars_only=no
while (($#)); do
  case $1 in
    --port | --data | --advertised-port | --controller-port | --heap | --settings)
      (($# > 1)) || fail "$1 needs a value; see start.sh --help"
      case $1 in
        --port) port=$2 ;;
        --data) data=$2 ;;
        --advertised-port) advertised_port=$2 ;;
        --controller-port) controller_port=$2 ;;
        --heap) heap=$2 ;;
        --settings) settings=$2 ;;
      esac
      shift 2
      ;;
    --jars) jars_only=yes && shift ;;
    -h | --help) usage && exit 0 ;;
    *) fail "unknown argument $1; see start.sh --help" ;;
  esac
done

require_java() {
  java=${JAVA_HOME:+$JAVA_HOME/bin/}java
  command -v "$java" >/dev/null ||
    fail "Java is missing ($java). Install a Java 17 runtime, for example: apt-get install openjdk-17-jre-headless"
  local version
  version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
  [[ ${version:-0} -ge 17 ]] ||
    fail "Java ${version:-of unknown version} is too old for Kafka 4. Install Java 17 or newer, or set JAVA_HOME"
}

# Sets `jars`. The folder's name carries the pom's hash, and it appears by one rename when complete.
fetch_jars() {
  local cache hash new
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/kae
  hash=$( (sha256sum 2>/dev/null || shasum -a 256) <"$here/pom.xml" | cut -c 1-12)
  jars=$cache/kafka-4.3.1-$hash
  [[ -d $jars ]] && return
  command -v mvn >/dev/null ||
    fail "Maven (mvn) is missing, and Kafka's jars are not in $jars yet. Install Maven, for example: apt-get install maven"
  mkdir -p "$cache"
  # Maven's own repository does not bear two first downloads at once.
  if command -v flock >/dev/null; then
    exec 9>"$cache/kafka.lock"
    flock 9
    [[ -d $jars ]] && exec 9>&- && return
  fi
  new=$(mktemp -d "$cache/.kafka-XXXXXX")
  trap 'rm -rf "$new"' EXIT
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$new" 9>&- >&2 ||
    fail "Maven could not fetch the jars that $here/pom.xml names; its reasons are above"
  chmod 755 "$new"
  mv -T "$new" "$jars" 2>/dev/null || [[ -d $jars ]] || mv "$new" "$jars"
  rm -rf "$new"
  trap - EXIT
  if command -v flock >/dev/null; then exec 9>&-; fi
}

# After a SIGKILL the broker may come back only when its former session is over: keep that short.
write_properties() {
  cat >"$data/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
listeners=CLIENT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=CLIENT://127.0.0.1:${advertised_port:-$port}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$data/log
auto.create.topics.enable=false
message.max.bytes=4194304
replica.fetch.max.bytes=4194304
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
PROPERTIES
  # Of a key that is said twice, Java takes the last.
  [[ -z $settings ]] || cat "$settings" >>"$data/server.properties"
}

format_storage() {
  [[ -f $data/log/meta.properties ]] && return
  # A single node has no one to agree with, so any cluster id does.
  "$java" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -cp "$jars/*" \
    -Dlog4j2.configurationFile="$here/log4j2.properties" -Dkae.kafka.log="$data/kafka.log" \
    kafka.tools.StorageTool format \
    --config "$data/server.properties" --cluster-id a2FlLWxvY2FsLWthZmthMQ >&2
}

require_java
fetch_jars
if [[ $jars_only == yes ]]; then
  echo "$jars"
  exit 0
fi

[[ $port =~ ^[0-9]+$ ]] || fail "--port must be a number; see start.sh --help"
[[ -n $data ]] || fail "--data is missing; see start.sh --help"
controller_port=${controller_port:-$((port + 1))}
mkdir -p "$data"
data=$(cd "$data" && pwd)
write_properties
format_storage
exec "$java" -Xms256m "-Xmx$heap" -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:+ExitOnOutOfMemoryError \
  -Djava.awt.headless=true -cp "$jars/*" \
  -Dlog4j2.configurationFile="$here/log4j2.properties" -Dkae.kafka.log="$data/kafka.log" \
  kafka.Kafka "$data/server.properties"
