// driver.mjs: clients/node as the test drives it: a command a line on standard input, one line of answer.
import { createInterface } from 'node:readline';
import { pool, remaining, send } from '../../clients/node/outcomes.js';
import { answer, truth } from '../../clients/node/request.js';

let tickets = [];
for await (const line of createInterface({ input: process.stdin })) {
  const [command, first, last] = line.split(' ');
  if (command === 'serve') {
    const served = [];
    for (let unit = Number(first); unit <= Number(last); unit++)
      served.push(await answer('spam', `unit ${unit}`, async (version) => version, '1.0.0'));
    tickets.push(...served.map(({ ticket }) => ticket));
    const without = served.filter(({ ticket }) => !ticket.decision).length;
    console.log(`served ${served.length} without ${without} by ${[...new Set(served.map(({ reply }) => reply))].sort()}`);
  } else if (command === 'truth') {
    tickets.forEach((ticket) => truth(ticket, true));
    console.log(`told ${tickets.length}`);
    tickets = [];
  } else if (command === 'send') {
    await send(Number(first ?? 60)).catch(() => {});
    console.log(`kept ${remaining()}`);
  } else if (command === 'quit') {
    console.log('bye');
    break;
  }
}
await pool.end();
process.exit();
