"""One grade for a cine: from its confident frames, with the frame that decided."""

from dataclasses import dataclass, replace

from model.anatomy import GRADES
from model.grade import Gsus


@dataclass(frozen=True, slots=True)
class CineGrade:
    """What a cine's frames say so far; `seen` adds one.

    A frame counts when it carries a grade that no rule wants reviewed. `sums` add the probabilities of those frames,
    `best` holds for each grade the highest probability of any frame and that frame's number.
    """

    frames: int = 0
    sums: tuple[float, ...] = (0.0,) * len(GRADES)
    best: tuple[tuple[float, int], ...] = ((0.0, -1),) * len(GRADES)

    def seen(self, gsus: Gsus, index: int) -> "CineGrade":
        """With the frame numbered `index` added, where it counts."""
        if gsus.grade is None or gsus.review is not None:
            return self
        told = gsus.probabilities
        return replace(
            self,
            frames=self.frames + 1,
            sums=tuple(s + p for s, p in zip(self.sums, told, strict=True)),
            best=tuple((p, index) if p > b[0] else b for b, p in zip(self.best, told, strict=True)),
        )

    def joined(self, later: "CineGrade", after: int) -> "CineGrade":
        """With what further frames say, whose numbers go on from `after`."""
        return CineGrade(
            self.frames + later.frames,
            tuple(s + t for s, t in zip(self.sums, later.sums, strict=True)),
            tuple((p, n + after) if p > b[0] else b for b, (p, n) in zip(self.best, later.best, strict=True)),
        )

    @property
    def probabilities(self) -> tuple[float, ...] | None:
        """The mean over the frames that count; None without any."""
        return tuple(s / self.frames for s in self.sums) if self.frames else None

    @property
    def grade(self) -> int | None:
        """The likeliest grade by that mean; None without a frame that counts."""
        return max(GRADES, key=lambda g: self.sums[g]) if self.frames else None

    @property
    def deciding(self) -> int | None:
        """The number of the frame that shows the cine's grade most clearly."""
        return None if self.grade is None else self.best[self.grade][1]
