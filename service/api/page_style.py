"""How the page of the API's own description looks, by day and by night."""

STYLE = """
:root{--ink:#1c2024;--quiet:#60646c;--paper:#fff;--raised:#f7f8fa;--line:#e2e5ea;--link:#0b63c5;
--get:#0b63c5;--post:#157f3c;--put:#9a5b00;--patch:#9a5b00;--delete:#c02637;--event:#7a3fc4}
@media (prefers-color-scheme:dark){:root{--ink:#e4e7eb;--quiet:#9aa3af;--paper:#14171b;--raised:#1c2026;
--line:#2d333b;--link:#6cb0ff;--get:#6cb0ff;--post:#5cc98a;--put:#e0a94a;--patch:#e0a94a;--delete:#ff7a85;
--event:#b794f6}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;display:grid;grid-template-columns:22rem minmax(0,1fr);color:var(--ink);background:var(--paper);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem;background:var(--raised);
border-right:1px solid var(--line);font-size:13px}
nav p{margin:1rem .4rem .3rem;font-weight:600}
nav ul{list-style:none;margin:0;padding:0}
nav li a{display:flex;gap:.5rem;align-items:baseline;padding:.15rem .4rem;border-radius:4px;color:inherit}
nav li a:hover{background:var(--line);text-decoration:none}
nav li span{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px;
overflow-wrap:anywhere}
main{padding:2rem 2.5rem 5rem;max-width:66rem}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
h1{margin:0 0 1rem;font-size:2rem}
h1 small{color:var(--quiet);font-weight:400;font-size:1rem}
h2{margin:3rem 0 .5rem;padding-bottom:.4rem;border-bottom:2px solid var(--line);font-size:1.5rem}
h3{margin:0 0 .5rem;font-size:1.05rem;display:flex;gap:.6rem;align-items:center;flex-wrap:wrap}
h3 code{background:none;padding:0;font-size:1rem;overflow-wrap:anywhere}
h4{margin:1.2rem 0 .4rem;font-size:.8rem;text-transform:uppercase;letter-spacing:.06em;color:var(--quiet)}
h5{margin:.8rem 0 .3rem;font-size:.8rem;color:var(--quiet)}
p{margin:.4rem 0}
article{margin:1.2rem 0;padding:1.2rem 1.4rem;border:1px solid var(--line);border-radius:10px}
article:target{border-color:var(--link);box-shadow:0 0 0 1px var(--link)}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.86em}
code{background:var(--raised);padding:.1em .35em;border-radius:4px;overflow-wrap:anywhere}
pre{margin:.6rem 0;padding:.9rem 1rem;max-height:26rem;overflow:auto;background:var(--raised);
border:1px solid var(--line);border-radius:8px;line-height:1.45}
.wide{overflow-x:auto}
table{width:100%;border-collapse:collapse;font-size:14px}
td{padding:.45rem .8rem .45rem 0;border-top:1px solid var(--line);vertical-align:top}
tr:first-child td{border-top:0}
td:first-child{width:30%}
td:nth-child(2){width:24%}
td p{margin:0}
small,.quiet{color:var(--quiet);font-size:13px}
.m{flex:none;display:inline-block;min-width:3.9em;text-align:center;font-size:11px;letter-spacing:.04em;
padding:.15em .5em;border-radius:4px;border:1px solid currentColor}
nav .m{min-width:5.4em;font-size:9.5px;padding:.05em .2em}
.get{color:var(--get)}.post{color:var(--post)}.put{color:var(--put)}.patch{color:var(--patch)}
.delete{color:var(--delete)}.event{color:var(--event)}
details,.alone{margin:.3rem 0;border:1px solid var(--line);border-radius:8px;padding:.4rem .9rem}
details[open]{padding-bottom:.8rem}
summary{cursor:pointer}
.status{display:inline-block;min-width:3.4em}
.s2{color:var(--post)}.s4{color:var(--put)}.s5{color:var(--delete)}
@media (max-width:60rem){body{display:block}nav{position:static;height:auto;max-height:40vh;border-right:0;
border-bottom:1px solid var(--line)}main{padding:1.2rem}}
@media print{nav{display:none}body{display:block}pre{max-height:none}}
"""
