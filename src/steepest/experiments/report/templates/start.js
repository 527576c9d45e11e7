// Connects the controls to what they draw.

for (const level of ["experiment", "data", "norm", "loss", "quantity"]) {
  byId(`curve-${level}`).addEventListener("change", chooseCurves);
}
for (const level of ["experiment", "data", "loss", "quantity"]) {
  byId(`map-${level}`).addEventListener("change", drawMaps);
}
for (const box of ["log-steps", "log-values", "show-theory"]) byId(box).addEventListener("change", drawCurves);
byId("value-step").addEventListener("input", drawCurves);
byId("reset-zoom").addEventListener("click", () => Plotly.relayout("chart", { "xaxis.autorange": true, "yaxis.autorange": true }));
dark.addEventListener("change", drawCurves);
chooseCurves();
drawMaps();
