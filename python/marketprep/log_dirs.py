"""How many bytes topics take on the brokers' disks: a request that aiokafka does not have yet.

Kafka's protocol, DescribeLogDirs: <https://kafka.apache.org/43/design/protocol/>
"""

from collections import Counter

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ClusterAuthorizationFailedError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String


class _Response(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "log_dirs",
            Array(
                ("error_code", Int16),
                ("log_dir", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("topic", String("utf-8")),
                        (
                            "partitions",
                            Array(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


class _RequestStruct(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class _Request(Request[_RequestStruct]):  # type: ignore[misc]  # as above
    API_KEY = 35

    def build(self, request_struct_class: type[_RequestStruct]) -> _RequestStruct:
        return request_struct_class(topics=None)


async def sizes(client: AIOKafkaAdminClient) -> Counter[str]:
    """The bytes of each topic, all its replicas together.

    Raises KafkaError if brokers do not tell, as to who may not describe the cluster.
    """
    found: Counter[str] = Counter()
    for broker in (await client.describe_cluster())["brokers"]:
        response = await client._send_request(_Request(), broker["node_id"])  # noqa: SLF001 - see above
        if not response.log_dirs:
            raise ClusterAuthorizationFailedError
        for error_code, _, topics in response.log_dirs:
            if error_code:
                raise for_code(error_code)
            for topic, partitions in topics:
                found[topic] += sum(size for _, size, _, _ in partitions)
    return found
