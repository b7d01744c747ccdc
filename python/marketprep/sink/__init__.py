"""The sinks: Kafka Connect stores topics in S3 or MinIO."""
