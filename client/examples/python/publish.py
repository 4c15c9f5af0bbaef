"""Publish one notification of each type: PYTHONPATH=gen/python python3 client/examples/python/publish.py [HOST:PORT]"""
import sys
import uuid

import grpc
from rotki.notifications.v1.accounts_pb2 import EvmAddress, EvmAddressMigration
from rotki.notifications.v1.errors_pb2 import VERBOSITY_WARNING, BalanceSnapshotError, Legacy
from rotki.notifications.v1.migrations_pb2 import CurrentUpgrade, LoginStatus
from rotki.notifications.v1.notification_pb2 import Notification
from rotki.notifications.v1.notification_service_pb2 import PublishRequest
from rotki.notifications.v1.notification_service_pb2_grpc import NotificationServiceStub
from rotki.notifications.v1.tokens_pb2 import DetectedToken, NewEvmTokenDetected

ADDRESSES = ["0x2B888954421b424C5D3D9Ce9bB67c9bD47537d12", "0xFeebabE6b0418eC13b30aAdF129F5DcDd4f70CeA"]
UPGRADE = CurrentUpgrade(from_db_version=30, total_steps=8, current_step=5)
TOKEN = DetectedToken(token_identifier="eip155:1/erc20:0x76dc5F01A1977F37b483F2C5b06618ed8FcA898C")
notifications = [
    Notification(legacy=Legacy(verbosity=VERBOSITY_WARNING, value="A warning")),
    Notification(balance_snapshot_error=BalanceSnapshotError(location="poloniex", error="Could not connect to poloniex")),
    Notification(login_status=LoginStatus(start_db_version=26, target_db_version=35, current_upgrade=UPGRADE)),
    Notification(evm_address_migration=EvmAddressMigration(
        addresses=[EvmAddress(evm_chain="optimism", address=address) for address in ADDRESSES])),
    Notification(new_evm_token_detected=NewEvmTokenDetected(tokens=[TOKEN])),
]
# The bridge knows a repeated id again: whatever a broken stream left unanswered may be sent again, with the same ids.
requests = [PublishRequest(id=str(uuid.uuid4()), notification=notification) for notification in notifications]
refused = 0
with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:5044") as channel:
    try:
        for ack in NotificationServiceStub(channel).Publish(iter(requests)):
            if ack.HasField("accepted"):
                print(f"{ack.id} accepted at {ack.accepted.position} for {ack.accepted.subscribers} subscriber(s)")
            else:
                refused += 1
                print(f"{ack.id} rejected: {ack.rejected.field}: {ack.rejected.message}")
    except grpc.RpcError as broken:
        sys.exit(f"stream broke: {broken.code().name}: {broken.details()}")
sys.exit(1 if refused else 0)
