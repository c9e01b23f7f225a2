/*
 * page.c: see page.h.
 *
 * Colours: text and lines of series have a contrast of 4.5 and more to their background in either theme (WCAG 2.2,
 * 1.4.3; test/unit/page.c computes it).
 */
#include "core/page.h"

/* clang-format off */
/* In parts, since compilers need take no longer text than 4095 bytes. */
static const char *const style[] = {
	":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#57606a;--rule:#d9dee3;--fill:#f4f6f8;"
	"--c0:#0b5cad;--c1:#a34700;--c2:#14703f;--c3:#7a3fa0;--c4:#a8324a;--c5:#4b5763;--bad:#a3231a;--good:#14703f}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ec;--soft:#a3adb8;--rule:#343b44;--fill:#1d2127;"
	"--c0:#7db8ff;--c1:#ffb066;--c2:#6fd39b;--c3:#cfa6ff;--c4:#ff9aa8;--c5:#b6c0cc;--bad:#ff9a92;--good:#6fd39b}}\n"
	"*{box-sizing:border-box}\n"
	"html{background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif;"
	"-webkit-text-size-adjust:100%}\n"
	"body{max-width:1120px;margin:0 auto;padding:24px 24px 48px;overflow-wrap:anywhere}\n"
	"h1{font-size:1.9rem;line-height:1.2;margin:0 0 4px;font-weight:650;letter-spacing:-.01em}\n"
	"h2{font-size:1.15rem;margin:40px 0 4px;font-weight:650}\n"
	"h3{font-size:.95rem;margin:20px 0 2px;font-weight:600}\n"
	"p{margin:4px 0 10px;max-width:46em}\n"
	".kind{color:var(--soft);margin:0;font-size:.85rem;letter-spacing:.06em;text-transform:uppercase}\n"
	".when,.more,.none,footer,.how{color:var(--soft);font-size:.9rem}\n"
	".verdict{font-size:1.15rem;line-height:1.45;margin:16px 0;padding:12px 16px;border-left:4px solid var(--fg);background:var(--fill);max-width:none}\n"
	".verdict.bad{border-left:4px double var(--bad)}.verdict.good{border-color:var(--good)}\n"
	".verdict b{font-weight:650}\n"
	"dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px 24px;margin:16px 0}\n"
	"dl div{min-width:0}dt{color:var(--soft);font-size:.8rem}dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}\n"
	"figure{margin:8px 0 4px}\n"
	".place{padding:0 128px 0 60px}.place.whole{padding:0}.place:not(.whole)>.none{margin-left:-60px}\n"
	,
	"svg{display:block;overflow:visible}svg.plot{font-size:12px;fill:var(--fg)}\n"
	"svg.plot text{fill:var(--fg);paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round;font-variant-numeric:tabular-nums}\n"
	"svg.plot text.tick{fill:var(--soft)}svg.plot text.level{text-anchor:end;transform:translate(-8px,8px)}\n"
	".grid{stroke:var(--rule);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}.rows{stroke-dasharray:22 24}\n"
	".line,.dots{fill:none;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round}\n"
	".dots{stroke-width:5;stroke-linecap:round}\n"
	".band{stroke:none;opacity:.14}\n"
	".c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}\n"
	".line.c1{stroke-dasharray:7 3}.line.c2{stroke-dasharray:2 3}.line.c3{stroke-dasharray:10 3 2 3}.line.c4{stroke-dasharray:4 2}"
	".line.c5{stroke-dasharray:12 3 2 3 2 3}\n"
	".band.c0{fill:var(--c0)}.band.c1{fill:var(--c1)}.band.c2{fill:var(--c2)}.band.c3{fill:var(--c3)}.band.c4{fill:var(--c4)}.band.c5{fill:var(--c5)}\n"
	"svg.plot text.t0{fill:var(--c0)}svg.plot text.t1{fill:var(--c1)}svg.plot text.t2{fill:var(--c2)}svg.plot text.t3{fill:var(--c3)}"
	"svg.plot text.t4{fill:var(--c4)}svg.plot text.t5{fill:var(--c5)}\n"
	".mark{stroke:var(--soft);stroke-width:1;stroke-dasharray:1 3}.mark.strong{stroke:var(--bad);stroke-width:2;stroke-dasharray:none}\n"
	".narrow{display:none}\n"
	"svg.plot text.mark{font-size:11px;font-weight:600;stroke-dasharray:none}\n"
	"line.limit{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:2 2}svg.plot text.limit{fill:var(--bad)}\n"
	".wide{stroke:var(--soft);stroke-width:1.5}.interval{stroke:var(--c0);stroke-width:5}\n"
	".shown{fill:var(--fg);stroke:var(--bg);stroke-width:1.5}.open{fill:var(--bg);stroke:var(--fg);stroke-width:2}\n"
	"svg.plot text.row{font-size:13px;font-weight:600}svg.plot text.note{font-weight:400;fill:var(--soft)}\n"
	".step{stroke:var(--c0);stroke-width:1.5;fill:none}.step.done{fill:var(--c0);fill-opacity:.35}.step.now{fill:var(--c0)}"
	".step.ahead{stroke:var(--soft);stroke-dasharray:3 3}.step.back{stroke:var(--bad);stroke-width:2.5;fill:var(--bad);fill-opacity:.2}\n"
	".expected{stroke:var(--fg);stroke-width:2;stroke-dasharray:3 2}\n"
	"svg.plot text.sign{font-size:14px}\n"
	".scroll{overflow-x:auto;max-width:100%;margin:6px 0}.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--c0);outline-offset:2px}\n"
	"table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums;min-width:min(100%,480px)}\n"
	"caption{text-align:left;color:var(--soft);padding:2px 0 4px}\n"
	"th,td{padding:4px 10px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule);overflow-wrap:normal}\n"
	"th{font-weight:600;color:var(--soft);white-space:nowrap}td.n,th.n{text-align:right;white-space:nowrap}td.t{white-space:nowrap}\n"
	"td.w{min-width:9em;max-width:40em;overflow-wrap:anywhere}td.k{max-width:20em;overflow-wrap:break-word}"
	"table.num th,table.num td{text-align:right;white-space:nowrap}table.num th:first-child{text-align:left;font-weight:400}\n"
	"details{margin:2px 0 8px}summary{color:var(--soft);font-size:.86rem;cursor:pointer}\n"
	"code{font:0.92em ui-monospace,'DejaVu Sans Mono',monospace}\n"
	"footer{margin-top:48px;border-top:1px solid var(--rule);padding-top:8px}\n"
	"@media(max-width:820px){.minor{display:none}.narrow{display:inline}}\n"
	"@media(max-width:640px){body{padding:16px 16px 32px}h1{font-size:1.5rem}.verdict{font-size:1.02rem;padding:10px 12px}"
	".place{padding:0 112px 0 0}.place:not(.whole)>.none{margin-left:0}svg.plot text.level{text-anchor:start;transform:none}svg.plot{font-size:11px}.scroll table{font-size:.8rem}td.w{min-width:14em}dd{font-size:1.1rem}}\n"
	"@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--soft:#444;--rule:#bbb;--fill:#fff;--c0:#0b5cad;--c1:#a34700;--c2:#14703f;"
	"--c3:#7a3fa0;--c4:#a8324a;--c5:#4b5763;--bad:#a3231a;--good:#14703f}html{font-size:11pt}body{padding:0;max-width:none}"
	"figure,tr,.verdict{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible}summary{list-style:none}"
	"details::details-content{content-visibility:visible;display:block}}\n"};
/* clang-format on */

const char *
page_style(int part)
{
	return part >= 0 && part < (int) (sizeof(style) / sizeof(style[0])) ? style[part] : NULL;
}

void
page_begin(html *to, const char *kind, const char *title)
{
	html_put(
		to,
		"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>"
		"<meta name=\"robots\" content=\"noindex\"/><meta name=\"referrer\" content=\"no-referrer\"/>"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"/><title>");
	html_escape(to, title, 80);
	html_put(to, " &#8211; ");
	html_put(to, kind);
	/* Without an icon of its own a browser asks the server for one. */
	html_put(to, "</title><link rel=\"icon\" href=\"data:,\"/><style>\n");
	for (int part = 0; page_style(part) != NULL; part++)
		html_put(to, page_style(part));
	html_put(to, "</style></head>\n<body><main><header><p class=\"kind\">");
	html_put(to, kind);
	html_put(to, "</p><h1><bdi>");
	html_escape(to, title, 0);
	html_put(to, "</bdi></h1>");
}

void
page_end(html *to, const char *version, double made)
{
	html_put(to, "</main><footer>Made by model_mgr ");
	html_escape(to, version, 0);
	html_put(to, " on ");
	html_second(to, made);
	html_put(to, " UTC. All times are UTC.</footer></body></html>\n");
}
