"""Whether a host is this machine itself: what may be spoken without TLS unless somebody says otherwise."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """True for localhost and for the loopback addresses; a name that only resolves to one is not looked up."""
    if host.lower() in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
