"""What connects kae to the world: events, topology, Kafka, workers, replicas, commands."""
