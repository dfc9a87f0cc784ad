"""Places the labels of points where they cover neither each other nor a point; pure."""

from collections.abc import Sequence

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

_HEIGHT = 12.0
_GAP = 11.0
_LEVELS = (-4.0, -18.0, 10.0, -32.0, 24.0, -46.0, 38.0)
_RADIUS = 6.0


def places(points: Sequence[tuple[float, float]], widths: Sequence[float], right: float) -> list[tuple[float, float]]:
    """Return the offset of each point's label, its lower left corner from the point; all lengths are in points of type.

    No label reaches beyond `right`, if it can be helped. Where no place is free, the first is taken.
    """
    taken: list[Box] = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in points]
    found = []
    for (x, y), width in zip(points, widths, strict=True):
        offsets = [(side, level) for level in _LEVELS for side in (_GAP, -_GAP - width)]
        boxes = {offset: _box(x, y, width, offset) for offset in offsets}
        free = [
            offset
            for offset, box in boxes.items()
            if box[0] >= 0 and box[2] <= right and not any(_overlap(box, other) for other in taken)
        ]
        offset = (free or offsets)[0]
        taken.append(boxes[offset])
        found.append(offset)
    return found


def _box(x: float, y: float, width: float, offset: tuple[float, float]) -> Box:
    left, bottom = x + offset[0], y + offset[1]
    return left, bottom, left + width, bottom + _HEIGHT


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
