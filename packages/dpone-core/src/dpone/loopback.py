"""What a host's address says: whether it is this machine itself, where TLS is not asked for, and how it is written."""

from __future__ import annotations

import ipaddress


def before_port(host: str) -> str:
    """The host as it stands before a port: an address of IPv6, which has colons itself, in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """True for localhost and for the loopback addresses; a name that only resolves to one is not looked up."""
    if host.lower() in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
