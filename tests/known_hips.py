"""Seeds of phantoms that the served model reads whole: all of their view's structures seen, the longitudinal graded.

When the generator changes, other seeds stand here: no test leans elsewhere on what a seed happens to show.
"""

from typing import Final

from model.anatomy import View

ILIOPECTINEAL: Final = 3_000_110
INFEROMEDIAL: Final = 3_000_040
LONGITUDINAL: Final = 3_000_486
BY_VIEW: Final = {
    View.ILIOPECTINEAL: ILIOPECTINEAL,
    View.INFEROMEDIAL: INFEROMEDIAL,
    View.LONGITUDINAL: LONGITUDINAL,
}
