"""Which addresses of untrusted hosts may be connected to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

#: The only part of IPv6 that is given out as public addresses. What embeds IPv4 (::/96, 64:ff9b::/96) is outside.
_PUBLIC_IPV6 = IPv6Network("2000::/3")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to somebody on the Internet, and to nothing inside of a network."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address not in _PUBLIC_IPV6 or address.sixtofour or address.teredo:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
