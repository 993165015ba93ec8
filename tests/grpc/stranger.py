"""A generic gRPC client: it finds the server's methods by reflection and calls those that it has a message for.

Usage: stranger.py ADDRESS TOKEN MESSAGES, where MESSAGES is a JSON object: method name -> message. Prints a JSON
object: `services`, `health`, and `answers` by method.
"""

import json
import sys

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def main():
    address, token, questions = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    channel = grpc.insecure_channel(address)
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    services = sorted(database.get_services())
    health = health_pb2_grpc.HealthStub(channel)
    serving = health.Check(health_pb2.HealthCheckRequest(), timeout=5).status
    answers = {}
    for name in services:
        if not name.startswith("telecom."):
            continue
        service = pool.FindServiceByName(name)
        for method in service.methods:
            if method.name not in questions:
                continue
            request = json_format.ParseDict(questions[method.name], GetMessageClass(method.input_type)())
            call = channel.unary_unary(
                f"/{name}/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            metadata = [("authorization", f"Bearer {token}"), ("idempotency-key", method.name)]
            answer = call(request, timeout=10, metadata=metadata, compression=grpc.Compression.Gzip)
            answers[method.name] = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    print(json.dumps({"services": services, "health": serving, "answers": answers}))


main()
