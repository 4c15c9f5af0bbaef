"""Who the publisher is, and over what connection it says so."""

from __future__ import annotations

import ipaddress
from typing import Callable, Optional, Union

import grpc

Token = Union[str, Callable[[], str]]


def take(token: Optional[Token]) -> str:
    """Returns the token to show now, "" for none. Raises what a callable does."""
    return (token() if callable(token) else token or "").strip()


def channel_credentials(
    address: str,
    token: Optional[Token],
    credentials: Optional[grpc.ChannelCredentials],
    root_certificates: Optional[bytes],
    private_key: Optional[bytes],
    certificate_chain: Optional[bytes],
) -> Optional[grpc.ChannelCredentials]:
    """Returns what encrypts the channel, None for nothing. Raises ValueError when that does not go together."""
    if (private_key is None) != (certificate_chain is None):
        raise ValueError("private_key and certificate_chain belong together: give both")
    if root_certificates is not None or private_key is not None:
        if credentials is not None:
            raise ValueError("credentials hold certificates and a key already: give either those or the others")
        return grpc.ssl_channel_credentials(root_certificates, private_key, certificate_chain)
    if credentials is None and token is not None and not _is_loopback(address):
        raise ValueError(f"the token would go to {address} unencrypted: give root_certificates or credentials")
    return credentials


def _is_loopback(address: str) -> bool:
    """Says whether an address is certainly on this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = address.rsplit("/", 1)[-1]
    for scheme in ("dns:", "ipv4:", "ipv6:"):
        if host.startswith(scheme):
            host = host[len(scheme) :]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
