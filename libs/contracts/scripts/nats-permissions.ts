/** Prints the NATS users and their permissions as JSON: `{ "users": [{ "user", "permissions" }] }`, without passwords. */
import { natsUsers } from '../src/nats-permissions.js';

process.stdout.write(`${JSON.stringify({ users: natsUsers() }, undefined, 2)}\n`);
