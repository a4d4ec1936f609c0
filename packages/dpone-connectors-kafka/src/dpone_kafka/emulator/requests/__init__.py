"""The requests that the broker knows, each with its versions."""

from __future__ import annotations

from dpone_kafka.emulator.broker import Api
from dpone_kafka.emulator.requests.configs import CONFIGS
from dpone_kafka.emulator.requests.data import DATA
from dpone_kafka.emulator.requests.logins import LOGINS
from dpone_kafka.emulator.requests.membership import MEMBERSHIP
from dpone_kafka.emulator.requests.offsets import OFFSETS
from dpone_kafka.emulator.requests.producers import PRODUCERS
from dpone_kafka.emulator.requests.topics import TOPICS

APIS: tuple[Api, ...] = (*DATA, *OFFSETS, *MEMBERSHIP, *PRODUCERS, *TOPICS, *CONFIGS, *LOGINS)
