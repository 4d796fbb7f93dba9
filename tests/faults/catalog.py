"""All faults, each a function that does something to a world, and undoes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from faults import clock, crowd, damage, flood, limits, noise, process, rotation, storage
from faults.world import World

Fault: TypeAlias = Callable[[World], None]

FAULTS: Final[tuple[Fault, ...]] = (
    process.killed, process.killed_while_it_starts, process.power_cut, process.hung_up, process.halted, process.doubled,
    rotation.renamed, rotation.renamed_often, rotation.copied_and_truncated, rotation.truncated,
    rotation.compressed, rotation.compressed_while_down, rotation.deleted_and_made_again, rotation.deleted_unread,
    rotation.missing, rotation.directory_replaced, rotation.link_switched,
    storage.ledger_full, storage.map_full, storage.log_full, storage.read_only, storage.read_only_at_the_start,
    storage.log_stalled, storage.log_slow, storage.log_forbidden, storage.log_directory_forbidden,
    storage.map_directory_forbidden, storage.ledger_directory_forbidden, storage.control_socket_forbidden,
    damage.ledger_noise, damage.ledger_cut, damage.ledger_gone, damage.ledger_bits, damage.ledger_bits_while_it_runs,
    damage.ledger_without_its_log,
    damage.map_gone, damage.map_replaced, damage.map_cut_while_it_runs, damage.map_noise_while_it_runs,
    damage.map_noise, damage.map_cut, damage.map_bits,
    noise.long_lines, noise.binary, noise.half_lines,
    limits.no_inotify, limits.inotify_overflows, limits.descriptors_run_out, limits.no_descriptor_at_all,
    limits.log_directory_crowded,
    crowd.silent, crowd.half_open, crowd.slow, crowd.garbage,
    clock.forwards, clock.back, clock.by_weeks, clock.back_and_forth,
    clock.new_year, clock.summer_begins, clock.summer_ends,
    flood.addresses, flood.users_of_one_address, flood.names_without_end,
)  # fmt: skip


def name(fault: Fault) -> str:
    """`rotation.renamed`."""
    return f"{fault.__module__.rpartition('.')[2]}.{fault.__name__}"
