"""Reliability diagrams and sparsification curves of `depth.py`'s results as a page.

usage: python benchmarks/depth_page.py [--results FILE] [--out PAGE]
"""

import argparse
import json
from pathlib import Path

from depth import RESULTS

from sparse3d.pipeline.report_curves import Series, draw_plot
from sparse3d.pipeline.report_html import fill_page, table, text

SPARE_BIN = 0.002
"""Bins with a smaller share of the pixels are left out: their shares of right ones are chance."""

CRITERIA = {
    "right": "within 1 % of the true depth",
    "right_2sigma": "within 1 % or twice the uncertainty of triangulation",
    "right_noise": "the same, widened by the noise of the true depth",
}


def plots(case: dict) -> str:
    """A case's two diagrams; the straight line is a confidence that is exactly right."""
    bins = [b for b in case["reliability"] if b["share"] >= SPARE_BIN]
    series = [Series([(0.0, 0.0), (1.0, 1.0)], 7)]
    criteria = [key for key in CRITERIA if key in bins[0]]
    series += [Series([(b["confidence"], b[key]) for b in bins], n, dots=True) for n, key in enumerate(criteria)]
    curve = case["sparsification"]
    kept = [
        Series(list(zip(curve["kept"], curve[key], strict=True)), n)
        for n, key in enumerate(("by_confidence", "oracle"))
    ]
    return (
        f"<h2>{text(case['case'])}</h2>"
        + draw_plot(series, "share of right depths", "confidence")
        + draw_plot(kept, "mean relative error (blue: by confidence; red: best order)", "share kept")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=Path("depth.html"))
    args = parser.parse_args()
    cases = json.loads(args.results.read_text())["cases"]
    colours = ("blue", "red", "green")
    legend = table(["right means", "dots"], list(zip(CRITERIA.values(), colours, strict=True)))
    args.out.write_text(fill_page("Confidence of depth", [legend, *map(plots, cases)]), encoding="utf-8")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
