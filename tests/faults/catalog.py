"""All faults: what is done to a world, and undone; and what explains it, or why there is nothing to explain."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from faults import clock, crowd, damage, flood, limits, noise, process, rotation, storage
from faults.world import World


class Fault(NamedTuple):
    """What is done, and what explains it: what the log must say of it, what `status` must say while it lasts (of what
    lasts, and does not keep `status` from being asked); or why neither says anything. Words are regular expressions."""

    does: Callable[[World], None]
    said: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    silent: str = ""

    @property
    def name(self) -> str:
        """`rotation.renamed`."""
        return f"{self.does.__module__.rpartition('.')[2]}.{self.does.__name__}"


def undergo(world: World, fault: Fault, *, seconds: float = 20.0) -> None:
    """Do it; then all must be well within so many seconds, and explained."""
    world.mark()
    world.shown, world.has_told = fault.shown, False
    fault.does(world)
    world.settled(seconds=seconds)
    for word in fault.said + fault.shown:
        world.said(word)
    assert world.has_told == bool(fault.shown), "whoever does it says when `status` has to show it"


def go_through(world: World, fault: Fault, *, seconds: float = 20.0) -> None:
    """The same on a world that is begun and ended for it."""
    with world:
        time.sleep(0.7)
        undergo(world, fault, seconds=seconds)


_STARTED: Final = (r"\bstarted\b",)
_OTHER_FILE: Final = ("log was rotated|log begins anew|log was truncated",)
_ROTATED: Final = ("log was rotated",)
_TRUNCATED: Final = ("log was truncated",)
_DENIED: Final = ("[Pp]ermission denied",)
_NO_LEDGER: Final = "the ledger .* cannot be written|ledger cannot be written|disk is full"
_AGAIN: Final = ("ledger can be written again",)
_SET_ASIDE: Final = ("set aside",)
_BY_CHANCE: Final = "what the bits hit may decide nothing, and nobody can tell"
_TOUCHED: Final = ("somebody else has touched the map|was replaced",)
_DIFFERS: Final = ("map differs from the ledger",)
_MOVE_AWAY: Final = ("relay.lmdb.*move .* away",)
_DESCRIPTORS: Final = ("[Tt]oo many open files",)
_GATEWAY: Final = ("too-many-users|has too many users to be one client",)
_SET_BACK: Final = ("clock was set back",)
_ORDINARY: Final = "nothing is wrong: that happens to every host"

FAULTS: Final = (
    Fault(process.killed, said=_STARTED),
    Fault(process.killed_while_it_starts, said=_STARTED),
    Fault(process.power_cut, said=_STARTED),
    Fault(process.hung_up, said=("reloaded",)),
    Fault(process.halted, silent="to who is halted, time has passed at once"),
    Fault(process.doubled, silent="the second one says it; the first cannot know"),
    Fault(rotation.renamed, said=_ROTATED),
    Fault(rotation.renamed_often, said=_ROTATED),
    Fault(rotation.copied_and_truncated, said=_TRUNCATED),
    Fault(rotation.truncated, said=_TRUNCATED),
    Fault(rotation.compressed, said=_ROTATED),
    Fault(rotation.compressed_while_down, said=_ROTATED),
    Fault(rotation.deleted_and_made_again, said=_OTHER_FILE),
    Fault(rotation.deleted_unread, said=_OTHER_FILE),
    Fault(rotation.missing, shown=("missing",)),
    Fault(rotation.directory_replaced, said=_OTHER_FILE),
    Fault(rotation.link_switched, said=_OTHER_FILE),
    Fault(storage.ledger_full, said=_AGAIN, shown=(_NO_LEDGER,)),
    Fault(storage.map_full, shown=("relay.lmdb.*No space left",)),
    Fault(storage.log_full, silent="nothing is written, which the mail server has to tell"),
    Fault(storage.read_only, said=_AGAIN, shown=(_NO_LEDGER, "relay.lmdb.*Read-only file system")),
    Fault(storage.read_only_at_the_start, said=("cannot be written|Read-only file system",)),
    Fault(storage.log_stalled, said=("log is read again",), shown=("hangs",)),
    Fault(storage.log_system_stalled, said=("log is read again",), shown=("hangs",)),
    Fault(storage.log_slow, silent="what is read is read within seconds"),
    Fault(storage.log_forbidden, shown=_DENIED),
    Fault(storage.log_directory_forbidden, shown=_DENIED),
    Fault(storage.map_directory_forbidden, shown=("relay.lmdb.*[Pp]ermission denied",)),
    Fault(storage.ledger_directory_forbidden, said=("may not write",)),
    Fault(storage.control_socket_forbidden, silent="the command that is turned away says it"),
    Fault(damage.ledger_noise, shown=_SET_ASIDE),
    Fault(damage.ledger_cut, shown=_SET_ASIDE),
    Fault(damage.ledger_gone, shown=_SET_ASIDE),
    Fault(damage.ledger_bits, silent=_BY_CHANCE),
    Fault(damage.ledger_bits_while_it_runs, silent=_BY_CHANCE),
    Fault(damage.ledger_without_its_log, shown=_SET_ASIDE),
    Fault(damage.map_gone, said=_TOUCHED),
    Fault(damage.map_replaced, said=_TOUCHED),
    Fault(damage.map_cut_while_it_runs, shown=("relay.lmdb.*(truncated|damaged).*move .* away",)),
    Fault(damage.map_noise_while_it_runs, shown=_MOVE_AWAY),
    Fault(damage.map_noise, shown=_MOVE_AWAY),
    Fault(damage.map_cut, shown=_MOVE_AWAY),
    Fault(damage.map_bits, silent=_BY_CHANCE),
    Fault(damage.map_bits_while_it_runs, silent=_BY_CHANCE),
    Fault(damage.map_gone_while_down, said=_DIFFERS),
    Fault(damage.map_replaced_while_down, said=_DIFFERS),
    Fault(noise.long_lines, silent="`status` counts the lines that are cut"),
    Fault(noise.binary, silent="it is nothing that looks like a login"),
    Fault(noise.half_lines, silent=_ORDINARY),
    Fault(limits.no_inotify, silent="`status --json` says that there is none; all is seen without it"),
    Fault(limits.inotify_overflows, said=_ROTATED),
    Fault(limits.descriptors_run_out, said=_DESCRIPTORS),
    Fault(limits.no_descriptor_at_all, said=_DESCRIPTORS),
    Fault(limits.log_directory_crowded, said=_ROTATED),
    Fault(crowd.silent, said=("peer refused.* reason=crowded",)),
    Fault(crowd.half_open, said=("peer refused.* reason=stalled",)),
    Fault(crowd.slow, said=("peer refused.* reason=(slow|crowded)",)),  # who is slow in time depends on the machine
    Fault(crowd.garbage, said=("peer refused.* reason=(malformed|too_long)",)),
    Fault(clock.forwards, silent="it cannot be told from time that has passed, as after a suspension"),
    Fault(clock.back, said=_SET_BACK),
    Fault(clock.by_weeks, said=_SET_BACK),
    Fault(clock.back_and_forth, said=_SET_BACK),
    Fault(clock.new_year, silent=_ORDINARY),
    Fault(clock.summer_begins, silent=_ORDINARY),
    Fault(clock.summer_ends, silent=_ORDINARY),
    Fault(flood.addresses, said=("too-many-grants",)),
    Fault(flood.users_of_one_address, shown=_GATEWAY),
    Fault(flood.names_without_end, said=("name-too-long",)),
)
