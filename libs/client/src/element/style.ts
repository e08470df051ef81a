/** Style of the component. Custom properties reach into the shadow tree; everything else is open through `::part()`. */
export const STYLE = `
:host {
  --accent: var(--talk-mesh-accent, #2f6f5e);
  --on-accent: var(--talk-mesh-on-accent, #fff);
  --surface: var(--talk-mesh-surface, light-dark(#fff, #1b1d1c));
  --text: var(--talk-mesh-text, light-dark(#1b1d1c, #f2f4f3));
  --quiet: var(--talk-mesh-quiet, light-dark(#56605c, #aab4b0));
  --line: var(--talk-mesh-line, light-dark(#c9d0cd, #4a524f));
  --radius: var(--talk-mesh-radius, 16px);
  display: block;
  max-width: 100%;
  box-sizing: border-box;
  color-scheme: light dark;
  color: var(--text);
  background: var(--surface);
  border-radius: var(--radius);
  font: 400 16px/1.4 var(--talk-mesh-font, system-ui, sans-serif);
  overflow: hidden;
}
:host([hidden]), [hidden] { display: none !important; }
[part=stage] {
  position: relative;
  aspect-ratio: var(--talk-mesh-aspect-ratio, 1);
  background: var(--talk-mesh-stage, #101211);
  overflow: hidden;
}
[part=poster], ::slotted([slot=poster]), [part=video] { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover; }
[part=video] { opacity: 0; transition: opacity .2s; }
[part=video].live { opacity: 1; }
/* Top right is the label; below the status, where a label that is drawn into the picture never is, that the call is recorded. */
.notes {
  position: absolute;
  inset: 12px 12px auto;
  display: grid;
  grid-template-columns: auto 1fr;
  gap: 8px;
  align-items: start;
  pointer-events: none;
}
[part=status], [part=caption], [part=disclosure], [part=recording] {
  margin: 0;
  color: #fff;
  background: rgb(0 0 0 / .72);
  border-radius: 8px;
  padding: 4px 10px;
}
[part=status] { font-size: 14px; }
[part=disclosure] { grid-area: 1 / 2; justify-self: end; font-size: 12px; }
[part=recording] { grid-area: 2 / 1 / auto / span 2; justify-self: start; font-size: 12px; }
[part=recording]::before { content: ''; display: inline-block; width: 8px; height: 8px; margin-right: 6px; border-radius: 50%; background: #f33; }
[part=caption] {
  position: absolute;
  left: 50%;
  bottom: 12px;
  translate: -50% 0;
  width: max-content;
  max-width: calc(100% - 24px);
  box-sizing: border-box;
  text-align: center;
  overflow-wrap: anywhere;
}
[part=unmute] { position: absolute; inset: auto auto 50% 50%; translate: -50% 50%; }
[part=controls], [part=line], [part=error], [part=stats], [part=devices] { margin: 0; padding: 12px 12px 0; }
[part=controls] { display: flex; flex-wrap: wrap; gap: 8px; justify-content: center; }
[part=line] { display: flex; gap: 8px; padding-bottom: 12px; }
[part=devices] { display: grid; gap: 8px; }
[part=devices] label { display: grid; gap: 4px; font-size: 14px; color: var(--quiet); }
[part=device-note] { margin: 0; font-size: 14px; }
[part=level] { height: 6px; border-radius: 3px; background: var(--line); overflow: hidden; }
[part=level]::before {
  content: "";
  display: block;
  height: 100%;
  background: var(--accent);
  transform: scaleX(var(--level, 0));
  transform-origin: left;
}
[part=transcript] {
  display: flex;
  flex-direction: column;
  gap: 6px;
  max-height: 12rem;
  margin: 0;
  padding: 12px;
  overflow-y: auto;
  list-style: none;
  border-top: 1px solid var(--line);
}
[part=transcript] li { overflow-wrap: anywhere; }
[part=transcript] .user { color: var(--quiet); text-align: right; }
[part=transcript] .cut::after { content: " —"; }
button, input, select { font: inherit; color: inherit; min-height: 44px; border-radius: 10px; border: 1px solid var(--line); }
button { padding: 0 14px; background: transparent; cursor: pointer; }
button:disabled { color: var(--quiet); cursor: default; }
button.primary, [part=unmute] { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button.danger { background: #a3262a; border-color: #a3262a; color: #fff; }
button[aria-pressed=true] { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); }
select { width: 100%; padding: 0 10px; color: var(--text); background: var(--surface); }
input { flex: 1; min-width: 0; padding: 0 12px; background: transparent; }
input::placeholder { color: var(--quiet); opacity: 1; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
[part=error] { color: light-dark(#8f1d21, #ffb4b0); }
[part=stats] { padding: 0 12px 12px; font-size: 13px; color: var(--quiet); font-variant-numeric: tabular-nums; }
@media (prefers-reduced-motion: reduce) { [part=video] { transition: none; } }
`;
