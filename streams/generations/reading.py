"""Reading the book of generations, once, before anything is followed."""

import msgspec
from kafka import TopicPartition

from kae.streams import control
from kae.streams.generations.book import GenerationBook
from kae.streams.kafka_log import KafkaClients
from kae.streams.letters.letterbox import patient_polls
from kae.streams.topology import Topology


def read_book(topology: Topology, clients: KafkaClients) -> GenerationBook:
    """The book as far as the control topic goes now; an empty one where there is no such topic.

    Raises: KafkaTimeoutError, KafkaConnectionError: no broker answers.
    """
    book = GenerationBook(topology.generation)
    place = TopicPartition(topology.control_topic, 0)
    with clients.borrowed_consumer() as consumer:
        if place.topic not in consumer.topics():
            return book  # told by who checks the topics
        end = consumer.end_offsets([place])[place]
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        polls = patient_polls(consumer, place.topic)
        while consumer.position(place) < end:
            for record in next(polls):
                try:
                    book.enter(record.offset, control.decode(record.value))
                except msgspec.DecodeError:
                    continue  # who carries requests out passes it over too, and logs it
    return book
