// Serves made-up requests, each with a session that is kept in a Map.
//   sessions.js KEEP PER_TICK [HELD]: at most KEEP sessions are kept (0: all, which is the leak);
//   the rows of the last HELD requests are held (0), so that they grow old before they are garbage.
const keep = Number(process.argv[2]), perTick = Number(process.argv[3]), heldMost = Number(process.argv[4] || 0);
const held = [];
const sessions = new Map();
let n = 0, sum = 0;
setInterval(() => {
  for (let i = 0; i < perTick; i++) {
    n++;
    sessions.set('session' + n, { id: n, roles: ['user', 'reader'], token: Math.random().toString(36).repeat(20) });
    if (keep && sessions.size > keep) sessions.delete(sessions.keys().next().value);
  }
  // The request's own garbage.
  const rows = Array.from({ length: 300 + Math.floor(Math.random() * 1500) }, (_, i) => ({ i, s: 'row ' + i * n }));
  held.push(rows);
  if (held.length > heldMost) held.shift();
  sum += JSON.stringify(rows).length;
}, 100);
