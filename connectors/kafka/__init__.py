"""Apache Kafka: topics in and out, and checkpoints kept in the cluster."""

from samza_py.connectors.kafka.checkpoints import KafkaCheckpoints
from samza_py.connectors.kafka.security import Sasl, Tls
from samza_py.connectors.kafka.system import Kafka
from samza_py.connectors.kafka.topics import KafkaTopic

__all__ = ["Kafka", "KafkaCheckpoints", "KafkaTopic", "Sasl", "Tls"]
