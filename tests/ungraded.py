"""A frame's grades where there are none."""

from model.grade import Combined, Gsus, Pdus, Solar


def not_gradable(reason):
    return Solar(Gsus(None, (), "", reason), Pdus(None, None, reason), Combined(None, reason))
