"""Who is restarted because it stopped keeping up, and who isn't."""

from consilium_network.heights import HeightWatch


def test_nodes_at_the_same_height_are_left_alone() -> None:
    watch = HeightWatch()
    for second in range(0, 600, 5):
        assert watch.observe(second, {"a": 7, "b": 7}, best=7) == {}


def test_a_node_that_stays_behind_is_restarted_once_its_time_is_over() -> None:
    watch = HeightWatch(behind_seconds=20)
    verdicts = {second: watch.observe(second, {"a": 5, "b": 9}, best=9) for second in range(0, 31, 5)}
    assert [second for second, verdict in verdicts.items() if verdict] == [20]
    assert "stayed at block 5" in verdicts[20]["a"]


def test_a_node_that_is_behind_but_catching_up_is_left_alone() -> None:
    watch = HeightWatch(behind_seconds=20)
    for second in range(0, 200, 5):
        assert watch.observe(second, {"a": second}, best=second + 50) == {}


def test_a_network_without_traffic_is_no_lag() -> None:
    watch = HeightWatch(behind_seconds=20)
    for second in range(0, 1000, 5):
        assert watch.observe(second, {"a": 5}, best=5) == {}
    assert watch.observe(1000, {"a": 5}, best=7) == {}  # blocks came a moment ago
    assert watch.observe(1014, {"a": 5}, best=7) == {}
    assert "a" in watch.observe(1016, {"a": 5}, best=7)


def test_one_missing_block_is_no_reason_to_restart() -> None:
    watch = HeightWatch(behind_seconds=20)
    for second in range(0, 600, 5):
        assert watch.observe(second, {"a": 5}, best=6) == {}


def test_a_silent_node_is_restarted_and_then_gets_its_time_anew() -> None:
    watch = HeightWatch(silent_seconds=30)
    verdicts = [second for second in range(0, 66, 5) if watch.observe(second, {"a": None, "b": 3}, best=3)]
    assert verdicts == [30, 65]


def test_a_node_that_is_gone_is_forgotten() -> None:
    watch = HeightWatch(behind_seconds=20)
    watch.observe(0, {"a": 1, "b": 9}, best=9)
    watch.observe(10, {"b": 9}, best=9)
    assert watch.observe(21, {"a": 1, "b": 9}, best=9) == {}
