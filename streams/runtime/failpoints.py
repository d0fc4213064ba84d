"""Steps at which a test can kill or stop this process.

A failpoint is armed by a file, `$KAE_FAILPOINTS/<step>.<signal>` (kill or stop). The process that
reaches the step first renames the file, to a name with its process id, and sends itself the signal.
Without the variable a failpoint costs one comparison.
"""

import os
import signal
from collections.abc import Iterable
from pathlib import Path

from kae.sinks.log.protocol import Appending

BEFORE_APPEND = "before_append"
APPENDED = "appended_not_acknowledged"
ACKNOWLEDGED = "acknowledged_not_applied"
APPLIED = "after_apply"
REBALANCING = "during_rebalance"
STEPS = (BEFORE_APPEND, APPENDED, ACKNOWLEDGED, APPLIED, REBALANCING)
REQUEST_READ = "request_read_not_appended"
REQUEST_APPENDED = "request_appended_not_acknowledged"
REQUEST_APPLIED = "request_applied_not_answered"
REQUEST_STEPS = (REQUEST_READ, REQUEST_APPENDED, REQUEST_APPLIED)
SNAPSHOT_SENT = "snapshot_file_sent_no_manifest"
SNAPSHOT_TAKEN = "snapshot_taken_not_announced"
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_folder = os.environ.get("KAE_FAILPOINTS", "")


def when_acknowledged(appends: Iterable[Appending], step: str = APPENDED) -> None:
    """Reach the step when the acknowledgement arrives, before the owner knows of it."""
    if _folder:
        for appending in appends:
            appending.on_acknowledged(lambda: reach(step))


def reach(step: str) -> None:
    """Send this process the signal that is armed for this step, if any is."""
    if not _folder:
        return
    for name, number in _SIGNALS.items():
        armed = Path(_folder, f"{step}.{name}")
        try:
            armed.rename(armed.with_name(f"{step}.{name}.taken-{os.getpid()}"))
        except FileNotFoundError:
            continue
        os.kill(os.getpid(), number)
