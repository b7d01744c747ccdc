"""Error codes of brokers that aiokafka does not know: their names, and what users can do.

aiokafka makes an UnknownError of each of them, which has neither the code nor a name. `install`
gives each code a class of its own. The names are those of Kafka's protocol guide, as of Kafka 4.1.
"""

from aiokafka import errors

#: What aiokafka asks classes of errors for: try again, with what brokers say of the cluster now.
_RETRIABLE = frozenset((74, 75, 78, 80, 83, 88, 89, 100, 103, 106))
_STALE_METADATA = frozenset((74, 75, 80, 100, 103))

#: The codes are 16-bit numbers; Kafka counts up, so later versions use the next ones.
_LAST_CODE = 511

_NAMES = {
    73: "TOPIC_DELETION_DISABLED",
    74: "FENCED_LEADER_EPOCH",
    75: "UNKNOWN_LEADER_EPOCH",
    76: "UNSUPPORTED_COMPRESSION_TYPE",
    77: "STALE_BROKER_EPOCH",
    78: "OFFSET_NOT_AVAILABLE",
    80: "PREFERRED_LEADER_NOT_AVAILABLE",
    81: "GROUP_MAX_SIZE_REACHED",
    82: "FENCED_INSTANCE_ID",
    83: "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    84: "ELECTION_NOT_NEEDED",
    85: "NO_REASSIGNMENT_IN_PROGRESS",
    86: "GROUP_SUBSCRIBED_TO_TOPIC",
    87: "INVALID_RECORD",
    88: "UNSTABLE_OFFSET_COMMIT",
    89: "THROTTLING_QUOTA_EXCEEDED",
    90: "PRODUCER_FENCED",
    91: "RESOURCE_NOT_FOUND",
    92: "DUPLICATE_RESOURCE",
    93: "UNACCEPTABLE_CREDENTIAL",
    94: "INCONSISTENT_VOTER_SET",
    95: "INVALID_UPDATE_VERSION",
    96: "FEATURE_UPDATE_FAILED",
    97: "PRINCIPAL_DESERIALIZATION_FAILURE",
    98: "SNAPSHOT_NOT_FOUND",
    99: "POSITION_OUT_OF_RANGE",
    100: "UNKNOWN_TOPIC_ID",
    101: "DUPLICATE_BROKER_REGISTRATION",
    102: "BROKER_ID_NOT_REGISTERED",
    103: "INCONSISTENT_TOPIC_ID",
    104: "INCONSISTENT_CLUSTER_ID",
    105: "TRANSACTIONAL_ID_NOT_FOUND",
    106: "FETCH_SESSION_TOPIC_ID_ERROR",
    107: "INELIGIBLE_REPLICA",
    108: "NEW_LEADER_ELECTED",
    109: "OFFSET_MOVED_TO_TIERED_STORAGE",
    110: "FENCED_MEMBER_EPOCH",
    111: "UNRELEASED_INSTANCE_ID",
    112: "UNSUPPORTED_ASSIGNOR",
    113: "STALE_MEMBER_EPOCH",
    114: "MISMATCHED_ENDPOINT_TYPE",
    115: "UNSUPPORTED_ENDPOINT_TYPE",
    116: "UNKNOWN_CONTROLLER_ID",
    117: "UNKNOWN_SUBSCRIPTION_ID",
    118: "TELEMETRY_TOO_LARGE",
    119: "INVALID_REGISTRATION",
    120: "TRANSACTION_ABORTABLE",
    121: "INVALID_RECORD_STATE",
    122: "SHARE_SESSION_NOT_FOUND",
    123: "INVALID_SHARE_SESSION_EPOCH",
    124: "FENCED_STATE_EPOCH",
    125: "INVALID_VOTER_KEY",
    126: "DUPLICATE_VOTER",
    127: "VOTER_NOT_FOUND",
    128: "INVALID_REGULAR_EXPRESSION",
    129: "REBOOTSTRAP_REQUIRED",
}

_REMEDIES = {
    76: (
        "set output.compression to one that the brokers accept, and look at compression.type of "
        "the topic."
    ),
    81: "raise group.max.size of the brokers, or start fewer processes.",
    87: (
        "the topic accepts no such record. If the topic is compacted, it accepts none without a "
        "key: set its cleanup.policy to delete (kafka-configs --alter --add-config)."
    ),
    89: "raise the quotas of this user, or wait.",
    90: "another producer with this transactional id was started: stop one of the two.",
}

_USUAL_REMEDY = (
    "the protocol guide of Kafka (kafka.apache.org/protocol) describes the code, and the brokers' "
    "logs have the cause."
)


class UnlistedError(errors.BrokerResponseError):  # type: ignore[misc] # aiokafka has no types
    """Error raised for a code that aiokafka does not know; `remedy` is for users."""

    remedy = _USUAL_REMEDY


def install() -> None:
    """Gives codes that aiokafka does not know classes of their own; those of aiokafka stay."""
    for code in range(min(_NAMES), _LAST_CODE + 1):
        if code not in errors.kafka_errors:
            errors.kafka_errors[code] = type(
                "UnlistedError",
                (UnlistedError,),
                {
                    "errno": code,
                    "message": _NAMES.get(code, "a code of a later version"),
                    "remedy": _REMEDIES.get(code, _USUAL_REMEDY),
                    "retriable": code in _RETRIABLE,
                    "invalid_metadata": code in _STALE_METADATA,
                },
            )
