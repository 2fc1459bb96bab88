"""Colours of all pictures, still and interactive; needs no plotting library."""

from collections.abc import Sequence

__all__ = ["APART", "GOOD", "GRID", "INK", "MODEL", "MUTED", "PALETTE", "REST", "TINT",
           "channel_colours"]  # fmt: skip

INK, MUTED, GRID = "#1f2933", "#52606d", "#e4e7eb"
REST, MODEL, TINT = "#c3cad3", "#3e5c76", "#f3f5f7"  # not media, the model, a background
APART, GOOD = "#B42318", "#e7f3ec"  # what stands apart, where things should be

PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#882255", "#CC79A7", "#332288",
)  # fmt: skip
"""Okabe-Ito with two dark colours of Tol's in place of its yellow and black: every pair
stays apart (CIE76 above 15) in normal, red-blind, green-blind and blue-blind sight."""


def channel_colours(channels: Sequence[str]) -> dict[str, str]:
    """Colour of every channel by its place in the user's order.

    Give the result as ``colours=`` to every picture, so that a channel looks the same in
    all of them, also where some channels are missing. After eight channels the colours
    come again, lighter, then darker.
    """
    towards = ((0.0, 1.0), (0.5, 1.0), (0.45, 0.0))
    colours = {}
    for i, channel in enumerate(channels):
        turn, place = divmod(i, len(PALETTE))
        part, end = towards[turn % len(towards)]
        rgb = [int(PALETTE[place][k : k + 2], 16) / 255 for k in (1, 3, 5)]
        mixed = (round(255 * ((1 - part) * c + part * end)) for c in rgb)
        colours[str(channel)] = "#" + "".join(f"{c:02X}" for c in mixed)
    return colours
