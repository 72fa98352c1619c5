"""Two directions' links made one (Och and Ney 2003, section 4; Koehn et al. 2005, IWSLT; as in Moses).

`forward` are the links of the model that chooses source words for each target word, `reverse` those
of the opposite model; both are (source word, target word).
"""

import heapq
from collections.abc import Callable, Collection

from nmt.alignment import Link

Links = Collection[Link]

# In Moses' order: first the four sides, then the four corners.
NEIGHBOURS = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]


def intersection(forward: Links, reverse: Links) -> list[Link]:
    """Intersection of both directions' links."""
    return sorted(set(forward) & set(reverse))


def union(forward: Links, reverse: Links) -> list[Link]:
    """The links that any direction has."""
    return sorted(set(forward) | set(reverse))


def grow_diag(forward: Links, reverse: Links) -> list[Link]:
    """The intersection, grown by neighbouring links of the union (diagonals too) of which a word is not yet linked."""
    return _Grown(forward, reverse).sorted()


def grow_diag_final(forward: Links, reverse: Links) -> list[Link]:
    """`grow_diag`, then the links of either direction of which at least one word is still not linked."""
    return _Grown(forward, reverse).final(forward, any).final(reverse, any).sorted()


def grow_diag_final_and(forward: Links, reverse: Links) -> list[Link]:
    """`grow_diag`, then the links of either direction of which both words are still not linked."""
    return _Grown(forward, reverse).final(forward, all).final(reverse, all).sorted()


SYMMETRIZATIONS: dict[str, Callable[[Links, Links], list[Link]]] = {
    "intersection": intersection,
    "union": union,
    "grow-diag": grow_diag,
    "grow-diag-final": grow_diag_final,
    "grow-diag-final-and": grow_diag_final_and,
}


class _Grown:
    """The links so far and the words that they reach; made by growing the intersection.

    Moses scans the links by target, then source word, again and again until a scan adds none. A
    neighbour refused once is refused for ever, because words only ever become linked: so each link
    needs to be visited once, in the same order: now when it lies ahead in this scan, else in the next.
    """

    def __init__(self, forward: Links, reverse: Links):
        self.links: set[Link] = set()
        self.sources: set[int] = set()
        self.targets: set[int] = set()
        candidates = set(forward) | set(reverse)
        waiting = [(target, source) for source, target in set(forward) & set(reverse)]
        for target, source in waiting:
            self._add((source, target))
        while waiting:
            scan, waiting = waiting, []
            heapq.heapify(scan)
            while scan:
                target, source = heapq.heappop(scan)
                for down, right in NEIGHBOURS:
                    neighbour = (source + right, target + down)
                    if neighbour in candidates and neighbour not in self.links and any(self._unlinked(neighbour)):
                        self._add(neighbour)
                        place = (target + down, source + right)
                        if place > (target, source):
                            heapq.heappush(scan, place)
                        else:
                            waiting.append(place)

    def final(self, links: Links, how_many: Callable[[tuple[bool, bool]], bool]) -> "_Grown":
        """Add each of `links`, by target and then source word, of which any or all words are not linked."""
        for link in sorted(links, key=lambda link: (link[1], link[0])):
            if how_many(self._unlinked(link)):
                self._add(link)
        return self

    def sorted(self) -> list[Link]:
        return sorted(self.links)

    def _unlinked(self, link: Link) -> tuple[bool, bool]:
        return link[0] not in self.sources, link[1] not in self.targets

    def _add(self, link: Link) -> None:
        self.links.add(link)
        self.sources.add(link[0])
        self.targets.add(link[1])
