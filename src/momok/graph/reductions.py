"""Making feature vectors comparable and narrower: pure functions of matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from momok.arrays import FloatMatrix, Floats
from momok.errors import FeatureError


def l2_normalise(matrix: FloatMatrix) -> FloatMatrix:
    """Bring every row ``[N, d]`` to length 1; rows of zeros stay zeros."""
    # The largest value is divided out first: squares of tiny or huge float32 leave its range.
    largest = np.abs(matrix).max(axis=1, keepdims=True, initial=0.0)
    scaled = matrix / np.where(largest > 0, largest, 1)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    normalised: FloatMatrix = (scaled / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return normalised


@dataclass(frozen=True, eq=False)
class Components:
    """The first principal components of some vectors: a map that takes further vectors too.

    Attributes:
        mean: ``[d]`` of the vectors that they were found in.
        directions: ``[d, width]``, of length 1 and orthogonal.
    """

    mean: Floats
    directions: Floats

    def reduce(self, rows: FloatMatrix) -> FloatMatrix:
        """Project rows ``[n, d]`` onto the components: ``[n, width]``."""
        reduced: FloatMatrix = ((rows - self.mean) @ self.directions).astype(np.float32)
        return reduced


def find_components(rows: FloatMatrix, width: int) -> Components:
    """Find the first principal components of rows ``[n, d]``.

    Where the rows vary in fewer than ``width`` directions, there are as many components as there
    are directions. The sign of a component is chosen so that its largest weight is positive, so it
    does not depend on the sign that the eigenvalue routine happens to return.

    Raises:
        FeatureError: there is no row, or all rows are the same.
    """
    if width < 1:
        raise FeatureError(f"PCA to width {width}: expected at least 1")
    if not len(rows):
        raise FeatureError(f"PCA to width {width}: no entity has a vector")
    mean = rows.astype(np.float64).mean(axis=0)
    centred = rows - mean
    # The smaller of the two Gram matrices has the same eigenvalues and is the cheaper one.
    wide = centred.shape[1] > centred.shape[0]
    gram = centred @ centred.T if wide else centred.T @ centred
    eigenvalues, eigenvectors = np.linalg.eigh(gram)
    eigenvalues, eigenvectors = eigenvalues[::-1], eigenvectors[:, ::-1]
    # Eigenvalues are squares, and float32 input carries about 7 digits: below is rounding.
    noise = eigenvalues[0] * np.finfo(np.float32).eps ** 2 * max(centred.shape)
    rank = int((eigenvalues > noise).sum()) if eigenvalues[0] > 0 else 0
    if rank == 0:
        raise FeatureError(f"PCA to width {width}: the {len(rows)} vectors are all the same")
    width = min(width, rank)
    directions = eigenvectors[:, :width]  # [d, width], or [n, width] where the rows are wide
    if wide:
        directions = centred.T @ directions / np.sqrt(eigenvalues[:width])
    strongest = np.abs(directions).argmax(axis=0)
    return Components(mean, directions * np.sign(directions[strongest, np.arange(width)]))


def pool(matrix: FloatMatrix, grid: tuple[int, int], target: tuple[int, int]) -> FloatMatrix:
    """Average-pool every row ``[N, H * W]``, seen as an ``H x W`` grid, to ``h x w`` numbers.

    Cell i of h averages the grid's cells from floor(i H / h) to ceil((i + 1) H / h), as PyTorch's
    ``adaptive_avg_pool2d`` does; a target larger than the grid repeats cells.

    Raises:
        FeatureError: the grid does not have as many cells as the rows have numbers.
    """
    height, width = grid
    if min(*grid, *target) < 1 or matrix.shape[1] != height * width:
        raise FeatureError(
            f"pooling {height} x {width} to {target[0]} x {target[1]}: the vectors have width "
            f"{matrix.shape[1]}, expected {height * width}"
        )
    cells = matrix.reshape(len(matrix), height, width).astype(np.float64)
    pooled = _average_windows(height, target[0]) @ cells @ _average_windows(width, target[1]).T
    flat: FloatMatrix = pooled.reshape(len(matrix), target[0] * target[1]).astype(np.float32)
    return flat


Grids = tuple[tuple[int, int], tuple[int, int]]
"""What a vector is seen as, and what it is pooled to."""

# How the authors of MoMoK bring their vectors to 256 numbers, by width, in the released code: texts
# of MKG-W and MKG-Y; texts of DB15K, texts and images of KVC16K; images of DB15K. Images of MKG-W
# and MKG-Y, of 383 numbers, stay as they are.
_PAPER_WIDTH = 256
_PAPER_GRIDS: dict[int, Grids | None] = {
    383: None,
    384: ((12, 32), (4, 64)),
    768: ((12, 64), (4, 64)),
    4096: ((64, 64), (16, 16)),
}


def find_paper_grids(width: int, to: int) -> Grids | None:
    """Find the grids on which the paper pools vectors of a width; None where it leaves them so.

    Other widths than its own, or pooled ``to`` another than 256, are seen as one row.
    """
    own = _PAPER_GRIDS if to == _PAPER_WIDTH else {}
    return own.get(width, ((1, width), (1, to)) if width > to else None)


def _average_windows(size: int, target: int) -> Floats:
    """Build the matrix ``[target, size]`` whose row i averages window i."""
    windows = np.arange(target)
    starts, stops = windows * size // target, -(-(windows + 1) * size // target)
    cells = np.arange(size)
    inside = (cells >= starts[:, None]) & (cells < stops[:, None])
    averages: Floats = inside / inside.sum(axis=1, keepdims=True)
    return averages
