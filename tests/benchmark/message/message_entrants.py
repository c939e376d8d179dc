# SPDX-License-Identifier: Apache-2.0
"""Who is in the contest of messages, in which table."""

from message_marks import FANOUT, Entrant, Row, Table, cast

ICEORYX = ("iceoryx", "libiceoryx-posh-dev", "libiceoryx-hoofs-dev")
ZEROMQ = ("libzmq3-dev",)

POLLING_TRIPS, SLEEPING_TRIPS, SIZED_TRIPS = 40_000, 2_000, 20_000
STREAM_MS = 100
FANOUT_MESSAGES = 80_000
SIZES = {"64 B": 64, "4 KiB": 4 << 10, "64 KiB": 64 << 10, "1 MiB": 1 << 20, "64 MiB": 64 << 20}


def ours(name: str, how: str, amount: int) -> Row:
    return Row(Entrant(f"shmpool, {name}", "message_ours", how, amount))


def polling(rows: list[Row]) -> list[Row]:
    for row in rows:
        row.entrant.polls = True
    return rows


def sleepers(amount: int, *, with_floors: bool) -> list[Row]:
    floors = [Row(Entrant("bare futex", "message_floors", "futex", amount)),
              Row(Entrant("bare eventfd, epoll", "message_floors", "eventfd", amount))]
    return [
        *(floors if with_floors else []),
        ours("sleeping in take", "sleeping", amount),
        ours("sleeping in epoll", "descriptor", amount),
        Row(Entrant("pipe", "message_kernel", "pipe", amount)),
        Row(Entrant("unix seqpacket", "message_kernel", "seqpacket", amount)),
        Row(Entrant("Boost message_queue", "message_boost", "sleeping", amount)),
        Row(Entrant("iceoryx 2.0, WaitSet", "message_iceoryx", "sleeping", amount, ICEORYX)),
        Row(Entrant("ZeroMQ, ipc", "message_zeromq", "sleeping", amount, ZEROMQ)),
    ]


def pollers(amount: int) -> list[Row]:
    return polling([
        Row(Entrant("bare ring", "message_floors", "ring", amount)),
        Row(Entrant("bare ring, 56 of 64 B", "message_floors", "ring_one_line", amount)),
        ours("unicast", "unicast", amount),
        ours("unicast, stamped", "stamped", amount),
        ours("one leased reader", "leased", amount),
        ours("two leased readers", "two_leased", amount),
        Row(Entrant("iceoryx 2.0, polling", "message_iceoryx", "polling", amount, ICEORYX)),
        Row(Entrant("Boost message_queue, polling", "message_boost", "polling", amount)),
    ])


def latency_tables() -> list[Table]:
    sizes = polling([ours(name, str(bytes_), SIZED_TRIPS)
                     for name, bytes_ in SIZES.items()])
    return [
        Table("both poll", "latency", pollers(POLLING_TRIPS)),
        Table("both sleep", "latency", sleepers(SLEEPING_TRIPS, with_floors=True)),
        Table("both sleep, on one core", "latency", sleepers(SLEEPING_TRIPS, with_floors=True),
              two_cores=False),
        Table("by payload, 8 slots of it, its first word touched; both poll", "latency", sizes),
    ]


def throughput_tables() -> list[Table]:
    return [
        Table("the reader polls", "throughput", pollers(STREAM_MS)),
        Table("the reader may sleep", "throughput", [
            *polling([ours("may sleep, polls", "polled_sleeper", STREAM_MS)]),
            *sleepers(STREAM_MS, with_floors=False)]),
    ]


def fanout_tables() -> list[Table]:
    casts = [(1, readers) for readers in (1, 2, 4, 8, 16)] + [(4, 1)]
    return [Table(FANOUT, "fanout", [
        Row(Entrant(cast(writers, readers), "message_fanout", f"{writers}x{readers}",
                    FANOUT_MESSAGES)) for writers, readers in casts])]
