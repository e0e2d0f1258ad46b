"""Decodes what an OTLP exporter sent with OpenTelemetry's own definitions: lines `traces|logs BASE64` become lines of JSON."""

import base64
import sys

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}

for line in sys.stdin:
    kind, _, text = line.strip().partition(" ")
    message = KINDS[kind]()
    message.ParseFromString(base64.b64decode(text))
    print(MessageToJson(message, indent=None), flush=True)
