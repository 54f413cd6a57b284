# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

from appliance.model import codes


def test_forms() -> None:
    for _ in range(50):
        assert codes.BOX_ID.match(codes.new_box_id())
        assert codes.SETUP_CODE.match(codes.new_setup_code())
        assert codes.is_claim_code(codes.new_claim_code())
    assert not codes.is_claim_code("")
    assert not codes.is_claim_code("0000")
    assert codes.host_name("PL-7K3M-9Q2X") == "platen-9q2x"


def test_one_wrong_character_and_any_exchange_are_noticed() -> None:
    good = codes.new_claim_code()
    places = [i for i, c in enumerate(good) if c != "-"]
    for place, other in itertools.product(places, codes.ALPHABET):
        if other != good[place]:
            assert not codes.is_claim_code(good[:place] + other + good[place + 1 :])
    for a, b in itertools.combinations(places, 2):
        if good[a] != good[b]:
            letters = list(good)
            letters[a], letters[b] = letters[b], letters[a]
            assert not codes.is_claim_code("".join(letters))


def test_what_people_type() -> None:
    assert codes.tidy(" pl 7k3m 9q2x ") == "PL-7K3M-9Q2X"
    assert codes.tidy("aOiL-bbbb") == "A011-BBBB"
    assert codes.tidy("4t9k2m7pxr03") == "4T9K-2M7P-XR03"
