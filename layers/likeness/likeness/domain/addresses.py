"""The addresses of untrusted hosts that Likeness may connect to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

#: The part of IPv6 that is allocated for public addresses. It excludes ranges that embed IPv4 (::/96, 64:ff9b::/96).
_PUBLIC_IPV6 = IPv6Network("2000::/3")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is public: globally reachable, unicast and not reserved."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address not in _PUBLIC_IPV6 or address.sixtofour or address.teredo:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
