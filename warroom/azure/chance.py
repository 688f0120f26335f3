"""A seeded source of chance that also draws what Graph's rows hold."""

from __future__ import annotations

import random
import time


class Chance(random.Random):
    """A seeded source of chance that also draws what Graph's rows hold."""

    def happens(self, probability: float) -> bool:
        return self.random() < probability

    def below(self, bound: float) -> float:
        return self.random() * bound

    def hex_digits(self, number: int) -> str:
        bits = self.getrandbits(4 * number)
        return f"{bits:0{number}x}"

    def guid(self) -> str:
        digits = self.hex_digits(32)
        parts = (
            digits[:8],
            digits[8:12],
            f"4{digits[13:16]}",
            f"8{digits[17:20]}",
            digits[20:],
        )
        return "-".join(parts)

    def stamp(self, moment: float) -> str:
        """A moment in seconds since 1970, with 0 to 7 fractional digits."""
        digits = int(self.below(8))
        whole = int(moment)
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        if not digits:
            return f"{text}Z"
        tenths_of_microseconds = int((moment - whole) * 10**7)
        fraction = f"{tenths_of_microseconds:07d}"
        return f"{text}.{fraction[:digits]}Z"
