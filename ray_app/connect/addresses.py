"""Where a request really goes: the plan's host, another one, or the simulator's place for it.

A redirect is followed only to a public https address: a feed must not make us ask our own network. The
address that was looked up and checked is the one that is connected to: a name that is looked up once more may
have moved meanwhile.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

import httpx

from ray_app.model.errors import NotOffered, Refused, Transient
from ray_app.model.source import Plan

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64, COMPATIBLE = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96")
Lookup = Callable[[str], Awaitable[Sequence[str]]]
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


@dataclass(frozen=True, slots=True)
class Target:
    """Where a redirect leads: the URL, and the addresses of its host that were checked (simulated: none)."""

    url: str
    addresses: tuple[Address, ...] = ()


async def looked_up(host: str) -> Sequence[str]:
    """The addresses of a host, in the order in which they are to be tried. Raises OSError and UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


async def redirected(
    source: str, asked: str, location: str, *, simulated: bool, lookup: Lookup = looked_up
) -> Target:
    """Where a redirect leads. Raises NotOffered when we do not go there."""
    try:
        target = urljoin(asked, location.strip())
        parts = urlsplit(target)
        host, _ = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise NotOffered(source, f"redirected to {location[:200]!r}, which is no address") from None
    if parts.scheme != "https" or not host or parts.username is not None:
        raise NotOffered(source, f"redirected to {target[:200]}, which is no plain https address")
    found = await _addresses(source, host, None if simulated else lookup)
    if not all(map(_public, found)):
        raise NotOffered(source, f"redirected to {target[:200]}, a private address: not followed")
    return Target(target, () if simulated else tuple(found))


@dataclass(frozen=True, slots=True)
class Pinned:
    """A request that is sent to one address, and speaks of the host by its name: in Host and to TLS."""

    url: httpx.URL
    headers: dict[str, str]
    extensions: dict[str, str]


def pinned(url: httpx.URL, address: Address) -> Pinned:
    """The connection is closed afterwards: it must not be taken for another host's at the same address."""
    return Pinned(
        url.copy_with(host=str(address)),
        {"host": url.netloc.decode("ascii"), "connection": "close"},
        {"sni_hostname": url.raw_host.decode("ascii")},
    )


async def in_clear(source: str, host: str, lookup: Lookup = looked_up) -> Sequence[Address]:
    """Where a host is asked without TLS: its addresses, this machine's or a private network's.

    Raises Transient when it has none now, Refused when one of them is anywhere else: what is sent could be read.
    """
    try:
        found = [ipaddress.ip_address(host)]
    except ValueError:
        try:
            found = list(dict.fromkeys(map(ipaddress.ip_address, await lookup(host))))
        except (OSError, UnicodeError) as error:
            raise Transient(source, f"{host} has no address: {type(error).__name__}") from None
    if not found or not all(map(_ours, found)):
        raise Refused(
            source, f"{host} is no address of this machine or of a private network: ask it by https"
        )
    return found


def _ours(address: Address) -> bool:
    """169.254.169.254 is private too, and gives a cloud's keys away: no server of models is there."""
    inside = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    real = inside or address
    elsewhere = real.is_link_local or real.is_unspecified or real.is_multicast or real.is_reserved
    return real.is_loopback or (real.is_private and not elsewhere)


def through_proxy() -> bool:
    """Whether https goes through a proxy of the environment: then the proxy looks names up, not we."""
    return bool({"https", "all"} & getproxies().keys())


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


async def _addresses(source: str, host: str, lookup: Lookup | None) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    if host == "localhost" or host.endswith((".localhost", ".internal", ".local")) or "." not in host:
        return [ipaddress.ip_address("127.0.0.1")]
    if lookup is None:
        return []
    try:
        found = await lookup(host)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name that DNS could have
        raise NotOffered(source, f"redirected to {host}, which has no address: {error}") from error
    return list(dict.fromkeys(map(ipaddress.ip_address, found)))
