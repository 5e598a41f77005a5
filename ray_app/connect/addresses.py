"""Where a request really goes: the plan's host, another one, or the simulator's place for it.

A redirect is followed only to a public https address: a feed must not make us ask our own network.
"""

import asyncio
import ipaddress
import socket
from urllib.parse import urljoin, urlsplit

from ray_app.model.errors import NotOffered
from ray_app.model.source import Plan

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64, COMPATIBLE = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96")
ANY_HOST = "/web/"  # where the simulator has the hosts that no plan names


def address_of(plan: Plan, base_url: str, path: str, *, simulated: bool) -> str:
    """The URL to ask for a path of the plan, or for a whole URL. `base_url` stands for the plan's own."""
    if not path.startswith("https://"):
        return base_url + path
    if not simulated:
        return path
    root = base_url.removesuffix(plan.simulated_at)
    for host, place in {plan.base_url: plan.simulated_at, **plan.elsewhere}.items():
        rest = path.removeprefix(host)
        if path.startswith(host) and rest[:1] in ("", "/", "?"):
            return root + place + rest
    return root + ANY_HOST + path.removeprefix("https://")


def at_home(plan: Plan, path: str) -> bool:
    """Whether a path of the plan, or a whole URL, is asked of the plan's own host: only there we sign."""
    return not path.startswith("https://") or urlsplit(path)[:2] == urlsplit(plan.base_url)[:2]


async def redirected(source: str, asked: str, location: str, *, simulated: bool) -> str:
    """Where a redirect leads. Raises NotOffered when we do not go there."""
    try:
        target = urljoin(asked, location.strip())
        parts = urlsplit(target)
        host, _ = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise NotOffered(source, f"redirected to {location[:200]!r}, which is no address") from None
    if parts.scheme != "https" or not host or parts.username is not None:
        raise NotOffered(source, f"redirected to {target[:200]}, which is no plain https address")
    for found in await _addresses(source, host, look_up=not simulated):
        if not _public(found):
            raise NotOffered(source, f"redirected to {target[:200]}, a private address: not followed")
    return target


def _public(address: Address) -> bool:
    """Whether it lies outside of every private network, also as an IPv4 address inside an IPv6 one."""
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    if address in NAT64 or address in COMPATIBLE:
        return _public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    inside = address.ipv4_mapped or address.sixtofour
    return inside is None or _public(inside)


async def _addresses(source: str, host: str, *, look_up: bool) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    if host == "localhost" or host.endswith((".localhost", ".internal", ".local")) or "." not in host:
        return [ipaddress.ip_address("127.0.0.1")]
    if not look_up:
        return []
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name that DNS could have
        raise NotOffered(source, f"redirected to {host}, which has no address: {error}") from error
    return [ipaddress.ip_address(one[4][0]) for one in found]
