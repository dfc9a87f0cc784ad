import itertools

from slipstream_builder.report import labels

WIDTH = 60.0


def boxes(points):
    offsets = labels.places(points, [WIDTH] * len(points), right=500.0)
    return [(x + dx, y + dy, x + dx + WIDTH, y + dy + 12.0) for (x, y), (dx, dy) in zip(points, offsets, strict=True)]


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_labels_of_points_close_together_cover_neither_each_other_nor_a_point():
    points = [(200.0, 100.0), (206.0, 101.0), (212.0, 97.0), (215.0, 104.0)]
    found = boxes(points)
    assert not any(overlap(one, other) for one, other in itertools.combinations(found, 2))
    assert not any(box[0] < x < box[2] and box[1] < y < box[3] for box in found for x, y in points)


def test_a_label_at_the_right_edge_goes_to_the_left():
    (box,) = boxes([(490.0, 100.0)])
    assert box[2] < 490.0


def test_every_label_gets_a_place_even_where_none_is_free():
    assert len(boxes([(100.0, 100.0)] * 40)) == 40
