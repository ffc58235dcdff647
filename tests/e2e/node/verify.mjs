// Verifies deliveries given as JSON on standard input with the reference library of Standard Webhooks.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secret, deliveries } = JSON.parse(readFileSync(0, "utf8"));
const webhook = new Webhook(secret);
for (const { body, headers } of deliveries) webhook.verify(body, headers);

try {
  webhook.verify(deliveries[0].body + " ", deliveries[0].headers);
  process.exit(1);
} catch {
  console.log(`${deliveries.length} verified, a changed body refused`);
}
