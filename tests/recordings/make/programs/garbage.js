// Renders made-up pages and forgets them.
let sum = 0;
setInterval(() => {
  const parts = [];
  const length = 500 + Math.random() * 6000;
  for (let i = 0; i < length; i++) parts.push({ tag: 'li', text: 'item ' + i, style: { top: i } });
  const page = parts.map(p => `<${p.tag} style="top:${p.style.top}">${p.text}</${p.tag}>`).join('\n');
  sum += Buffer.from(page).length;
}, 100);
