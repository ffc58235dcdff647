// Verifies messages given as JSON on standard input: `v1` with three libraries, `v1a` with node:crypto alone.
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { validateWebhook } from "replicate";
import { Webhook } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const { messages, jwks } = JSON.parse(readFileSync(0, "utf8"));
const keys = jwks.keys.map((jwk) => createPublicKey({ key: jwk, format: "jwk" }));

const accepts = (act) => {
  try {
    return act() !== false;
  } catch {
    return false;
  }
};

const asymmetric = (body, headers) =>
  headers["webhook-signature"]
    .split(" ")
    .filter((part) => part.startsWith("v1a,"))
    .map((part) => Buffer.from(part.slice(4), "base64"))
    .every((signature) => {
      const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
      return keys.some((key) => verify(null, signed, key, signature));
    });

const answers = [];
for (const { secret, body, headers } of messages) {
  const one = { v1a: headers["webhook-signature"].split("v1a,").length - 1 };
  for (const [said, text] of [["accepted", body], ["refused", body + " "]]) {
    const verdicts = {
      standardwebhooks: accepts(() => new Webhook(secret).verify(text, headers)),
      svix: accepts(() => new Svix(secret).verify(text, headers)),
      replicate: await validateWebhook({ headers, body: text }, secret),
    };
    if (one.v1a) verdicts["node:crypto"] = asymmetric(text, headers);
    one[said] = Object.keys(verdicts).filter((name) => verdicts[name] === (said === "accepted"));
  }
  answers.push(one);
}
console.log(JSON.stringify(answers));
