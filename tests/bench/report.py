"""The table of the benchmark, its bars, and the machine it was made on."""
import os
import platform
import subprocess

from tools import TOOLS
from vectors import ZSTD, zstd_version

PEERS = ("restic", "borg")
RSS_BAR_KIB = 96 * 1024
LIST_BAR_SECONDS = 0.020


def ratio_bar(text, factor):
    """snap's figure must be at most factor times the smaller of the peers'."""
    return text, lambda mine, best, copy: mine <= factor * best


RESTORE_BAR = ("the larger of 1/1.5 of the faster and 1.25 × cp",
               lambda mine, best, copy: mine <= max(best / 1.5, 1.25 * copy))
NO_BAR = ("", None)

# figure in Values, words, unit, bar
ROWS = [
    ("day 1 bytes", "day 1, bytes added", "MB", ratio_bar("1/75 of the smaller", 1 / 75)),
    ("day 1", "day 1, time", "s", ratio_bar("1/4 of the faster", 1 / 4)),
    ("30 days bytes", "30 days of churn on a fifth of the database, bytes added in all", "MB",
     ratio_bar("1/25 of the smaller", 1 / 25)),
    ("120 days bytes", "120 days of the same, bytes added in all", "MB", NO_BAR),
    ("a day", "one such day, time", "s", NO_BAR),
    ("first", "first backup, time", "s", ratio_bar("1/2 of the faster", 1 / 2)),
    ("first bytes", "first backup, bytes", "MB", ratio_bar("the smaller", 1)),
    ("unchanged", "nothing changed, time", "s", ratio_bar("1/3 of the faster", 1 / 3)),
    ("unchanged bytes", "nothing changed, bytes added", "MB", NO_BAR),
    ("restore", "restore to an empty target, time, with sync", "s", RESTORE_BAR),
    ("verify", "verify all data, time", "s", ratio_bar("1/3 of the faster", 1 / 3)),
    ("files first", "100,000 small files, first backup, time", "s", ratio_bar("1/1.5 of the faster", 1 / 1.5)),
    ("files first bytes", "100,000 small files, first backup, bytes", "MB", NO_BAR),
    ("files unchanged", "100,000 small files, nothing changed, time", "s", ratio_bar("1/4 of the faster", 1 / 4)),
    ("files restore", "100,000 small files, restore, time, with sync", "s", ratio_bar("1/1 of the faster", 1)),
    ("list", "list, time", "ms", ("20 ms", lambda mine, best, copy: mine <= LIST_BAR_SECONDS)),
    ("restore after 120 days", "restore of the newest of 120 days, time, with sync", "s", NO_BAR),
    ("outside bytes", "kept outside the repository after day 1", "MB", NO_BAR),
]

RSS_ROWS = ["first", "unchanged", "day 1", "a day", "restore", "verify", "list", "files first", "files unchanged",
            "files restore", "random vectors", "vectors day 1", "inspect quick", "inspect"]
BIG = "big "

# figure in Values, words, unit, what snap's has to be, and whether it is so: of snap's figure and Values
VECTOR_ROWS = [
    ("random vectors stored", "random vectors of length 1, stored", "of raw", "at most 0.87",
     lambda mine, _: mine <= 0.87),
    ("sentence vectors stored", "vectors of sentences, stored", "of raw", "at most 0.94 × zstd -19",
     lambda mine, values: mine <= 0.94 * values.median("sentence vectors stored", "zstd -19")),
    ("vectors day 1 bytes", "rows overwritten and appended, bytes added", "MB", "at most 1.1 × these rows",
     lambda mine, values: mine <= 1.1 * values.median("vectors changed bytes", "all")),
    ("row deleted bytes", "one row deleted in the middle, bytes added", "MB", "at most 1 MB",
     lambda mine, _: mine <= 1e6),
    ("planes encode", "byte planes, compressing, one core", "MB/s", "at least 500", lambda mine, _: mine >= 500),
    ("planes decode", "byte planes, decompressing, one core", "MB/s", "at least 1,200",
     lambda mine, _: mine >= 1200),
    ("inspect quick", "inspect --quick, time", "ms", "at most 10 ms", lambda mine, _: mine <= 0.010),
    ("inspect rate", "inspect, every number, one core", "GB/s", "at least 1.5", lambda mine, _: mine >= 1.5e9),
]


def show(value, unit):
    if value is None:
        return "–"
    if unit == "of raw":
        return f"{value:.4f}"
    if unit == "GB/s":
        return f"{value / 1e9:.2f}"
    if unit == "MB/s":
        return f"{value:,.0f}"
    if unit == "MB":
        return f"{value / 1e6:,.2f}" if value < 100e6 else f"{value / 1e6:,.0f}"
    if unit == "ms":
        return f"{value * 1000:.0f}"
    return f"{value:.2f}"


def verdict(bar, mine, best, copy):
    if bar is None or mine is None:
        return ""
    if best is None:
        return "not compared"
    return "yes" if bar(mine, best, copy or 0.0) else "**no**"


def best_peer(values, figure):
    found = [m for m in (values.median(figure, peer) for peer in PEERS) if m is not None]
    return min(found) if found else None


def figure_lines(values):
    lines = ["| figure | unit | snap | restic | borg | cp -r | snap against the better | at most | met |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |"]
    for figure, words, unit, (text, bar) in ROWS:
        mine, best, copy = values.median(figure, "snap"), best_peer(values, figure), values.median(figure, "cp")
        if mine is None and best is None:
            continue
        ratio = ""
        if mine and best and not (unit == "MB" and best < 1e6):  # a ratio to nearly nothing says nothing
            ratio = f"1/{best / mine:.1f}" if mine < best else f"{mine / best:.2f} ×"
        cells = [show(values.median(figure, name), unit) for name in ("snap", *PEERS)]
        cells.append(show(copy, unit) if copy is not None else "")
        met = verdict(bar, mine, best if figure != "list" else best or 0.0, copy)
        lines.append(f"| {words} | {unit} | " + " | ".join(cells) + f" | {ratio} | {text} | {met} |")
    return lines + [""] if len(lines) > 2 else []


def vector_lines(values):
    lines = ["| vectors | unit | snap | restic | borg | " + " | ".join(ZSTD) + " | snap's has to be | met |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |"]
    for figure, words, unit, text, bar in VECTOR_ROWS:
        mine = values.median(figure, "snap")
        met = "not measured" if mine is None else "yes" if bar(mine, values) else "**no**"
        cells = [show(values.median(figure, name), unit) for name in ("snap", *PEERS, *ZSTD)]
        lines.append(f"| {words} | {unit} | " + " | ".join(cells) + f" | {text} | {met} |")
    changed, count = values.median("vectors changed bytes", "all"), values.median("sentences", "all") or 0
    return lines + ["", f"Rows overwritten and appended: {show(changed, 'MB')} MB. Sentences: {count:,}. "
                        f"zstd {zstd_version()}."]


def rss_lines(values):
    lines = ["| largest resident set of any process, MiB | snap | restic | borg | snap at most | met |",
             "| --- | ---: | ---: | ---: | ---: | --- |"]
    for figure in RSS_ROWS:
        peak = values.rss.get(figure)
        if not peak:
            continue
        mine = peak.get("snap")
        met = "" if mine is None else "yes" if mine <= RSS_BAR_KIB else "**no**"
        cells = [f"{peak[name] / 1024:.0f}" if name in peak else "–" for name in ("snap", *PEERS)]
        lines.append(f"| {figure} | " + " | ".join(cells) + f" | 96 | {met} |")
    return lines


def big_lines(values):
    lines = ["| on data 8 times as large | time, s | bytes added, MB | resident set, MiB | on the plain data | met |",
             "| --- | ---: | ---: | ---: | ---: | --- |"]
    for figure in RSS_ROWS:
        peak, plain = values.rss.get(BIG + figure, {}).get("snap"), values.rss.get(figure, {}).get("snap")
        if peak is None:
            continue
        met = "not compared" if plain is None else "yes" if peak <= 1.1 * plain else "**no**"
        lines.append(f"| {figure} | {show(values.median(BIG + figure, 'snap'), 's')} | "
                     f"{show(values.median(BIG + figure + ' bytes', 'snap'), 'MB')} | {peak / 1024:.0f} | "
                     f"{'–' if plain is None else format(plain / 1024, '.0f')} | {met} |")
    return lines


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def debian_version():
    try:
        with open("/etc/debian_version") as f:
            return "Debian " + f.read().strip()
    except OSError:
        return platform.platform()


def file_system(path):
    out = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True)
    return out.stdout.strip() or "unknown"


def machine_lines(bench):
    versions = ", ".join(f"{tool.name} {TOOLS[tool.name].version()}" for tool in bench.tools)
    data = bench.values.median("data bytes", "all")
    size = f"data: {data / 1e6:,.0f} MB; " if data else ""
    return [f"Machine: {cpu_model()}, {os.cpu_count()} cores, {memory_gib():.0f} GiB of memory; "
            f"Linux {platform.release()}, {debian_version()}, {file_system(bench.work)}. {versions}.",
            f"{size}scale {bench.scale:g}; medians of {median_runs(bench.values)}; the churn is one run, and so are the "
            "bytes of vectors."]


def median_runs(values):
    counts = {values.runs(figure, tool) for figure in ("first", "files first") for tool in TOOLS}
    return " and ".join(str(n) for n in sorted(counts - {0})) or "1"


def table(bench):
    values = bench.values
    lines = figure_lines(values)
    if values.median("vectors changed bytes", "all") is not None:
        lines += vector_lines(values) + [""]
    lines += rss_lines(values) + [""]
    if any(figure.startswith(BIG) for figure in values.rss):
        lines += big_lines(values) + [""]
    return "\n".join(lines + machine_lines(bench)) + "\n"


def unmet(text):
    return text.count("**no**")


def write_between_markers(path, text):
    begin, end = "<!-- bench:begin -->\n", "<!-- bench:end -->"
    with open(path) as f:
        page = f.read()
    head, rest = page.split(begin, 1)
    tail = rest.split(end, 1)[1]
    with open(path, "w") as f:
        f.write(head + begin + "\n" + text + "\n" + end + tail)
