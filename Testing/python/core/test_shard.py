"""Parts of a job array: together they cover every item once, and an invalid part number is refused."""

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.shard import WHOLE, Shard


@pytest.mark.parametrize("of", [1, 2, 3, 7, 12])
def test_the_parts_hold_every_item_once_and_each_begins_with_its_own(of: int) -> None:
    items = list(range(10))
    shards = [Shard(number, of) for number in range(1, of + 1)]
    assert sorted(item for shard in shards for item in shard.part(items)) == items
    for shard in shards:
        order = shard.first(items)
        assert sorted(order) == items and order[: len(shard.part(items))] == shard.part(items)
    assert WHOLE.part(items) == WHOLE.first(items) == items


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/", "a/b", "-1/2", "1/2/3", ""])
def test_an_invalid_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write I/N with I from 1 to N"):
        Shard.from_text(text)
    assert Shard.from_text(" 2/8 ") == Shard(2, 8)
