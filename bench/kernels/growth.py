"""A chart of two panels, time and memory over the batch, both axes logarithmic, as plain SVG text."""

import html
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 380, 300, 58, 16, 44, 44
STYLE = """
  svg { font: 12px system-ui, sans-serif; background: #fff; color: #222; --ours: #0b6e4f; --theirs: #b3401f; }
  @media (prefers-color-scheme: dark) { svg { background: #16181d; color: #ddd; --ours: #5fd3a5; --theirs: #ff9a76; } }
  text { fill: currentColor; } .grid { stroke: currentColor; opacity: 0.15; } .title { font-weight: 600; }
  .ours { stroke: var(--ours); fill: var(--ours); } .theirs { stroke: var(--theirs); fill: var(--theirs); }
  polyline { fill: none !important; stroke-width: 2; } text.ours, text.theirs { stroke: none; }
"""


def growth(path, title, names, panels):
    """Writes the chart. `names` says who is who (ours, theirs); a panel is (heading, unit, ours, theirs), each a list of
    (batch, value)."""
    parts = [f'<text class="title" x="12" y="20">{html.escape(title)}</text>']
    for index, panel in enumerate(panels):
        parts.append(f'<g transform="translate({index * WIDTH} 24)">{_panel(names, *panel)}</g>')
    width, height = WIDTH * len(panels), HEIGHT + 24
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{html.escape(title)}">\n<style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(names, heading, unit, ours, theirs):
    points = ours + theirs
    batches = sorted({batch for batch, _ in points})
    low = math.floor(math.log10(min(value for _, value in points)))
    high = max(math.ceil(math.log10(max(value for _, value in points))), low + 1)
    first, last = math.log2(batches[0]), math.log2(batches[-1])

    def x(batch):
        return LEFT + (math.log2(batch) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - (math.log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{LEFT}" y="{TOP - 16}">{html.escape(heading)}</text>']
    for exponent in range(low, high + 1):
        at = y(10**exponent)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        label = f"{10.0**exponent:g} {unit}"
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for batch in batches:
        parts.append(f'<text x="{x(batch):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{batch}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">embeddings in the batch</text>')
    for who, values in (("ours", ours), ("theirs", theirs)):
        line = " ".join(f"{x(batch):.1f},{y(value):.1f}" for batch, value in values)
        parts.append(f'<polyline class="{who}" points="{line}"/>')
        parts += [f'<circle class="{who}" cx="{x(b):.1f}" cy="{y(v):.1f}" r="3"/>' for b, v in values]
        batch, value = values[-1]
        parts.append(
            f'<text class="{who}" x="{min(x(batch), WIDTH - RIGHT):.1f}" y="{y(value) - 10:.1f}" '
            f'text-anchor="end">{html.escape(names[who])}</text>'
        )
    return "\n".join(parts)
