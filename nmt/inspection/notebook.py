"""A translation in a notebook: the explorer in a frame of its own, apart from the notebook's styles and scripts."""

import html

from nmt.inspection.explorer import explorer_page
from nmt.translation import Translation


def frame(translation: Translation, height: int = 640) -> str:
    """The compact explorer as an `<iframe>`; the sandbox lets it run its own script and nothing else.

    Args:
        translation: what to show.
        height: of the frame, in pixels; what is higher scrolls.
    """
    page = html.escape(explorer_page([translation], compact=True), quote=True)
    return (
        f'<iframe title="attention explorer" sandbox="allow-scripts" srcdoc="{page}" width="100%" height="{height}" '
        'style="border: 0; border-radius: 8px"></iframe>'
    )
