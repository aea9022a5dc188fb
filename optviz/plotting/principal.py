"""The directions along which points vary most, be there millions of parameters."""

from __future__ import annotations

import numpy as np

_BLOCK = 2**16  # parameters that are taken to float64 at once


def principal_directions(points: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Two orthonormal directions (2, n) along which the points (N, n) vary most, and their shares of the variance.

    Fewer points than parameters are taken by the scalar products (N, N) of the centred points, whose eigenvectors say
    how to combine these to the directions: Sirovich (1987), Quarterly of Applied Mathematics 45, method of snapshots.
    What has a share below 1e-12 is lost in rounding. Where no variance is left any direction will do.
    """
    if len(points) >= points.shape[1]:
        centred = _centred(points)
        values, vectors = np.linalg.eigh(centred.T @ centred)
        directions = vectors[:, :-3:-1].T
    else:
        blocks = [points[:, i : i + _BLOCK] for i in range(0, points.shape[1], _BLOCK)]
        # With a point at the mean there are two eigenvectors of a single point too.
        products = np.pad(sum(c @ c.T for c in map(_centred, blocks)), (0, 1))
        values, vectors = np.linalg.eigh(products)
        combined = np.concatenate([_centred(block).T @ vectors[:-1, :-3:-1] for block in blocks])
        directions = np.linalg.qr(combined)[0].T  # orthonormal even where a column is zero or rounding
    whole = values.sum()
    shares = np.maximum(values[:-3:-1], 0.0) / whole if whole > 0 else np.zeros(2)
    return directions.copy(), (float(shares[0]), float(shares[1]))


def _centred(points: np.ndarray) -> np.ndarray:
    """In float64, in which rounding does not show when products are summed over millions of parameters."""
    points = points.astype(float)
    return points - points.mean(axis=0)
