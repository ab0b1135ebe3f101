// A transcript of what a client saw, the same for every run that saw the same.

const ID = /\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[0-9A-Za-z]*[0-9])00[0-9A-Za-z]{13}(?:[0-9A-Za-z]{3})?)\b/gi;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)/g;

export class Transcript {
  constructor(hosts) {
    this.hosts = hosts;
    this.ids = new Map();
    this.steps = [];
  }

  async step(name, call) {
    try {
      const value = await call();
      this.steps.push({ step: name, value: this.plain(value ?? null) });
      return value;
    } catch (error) {
      const seen = { name: error.name, message: error.message, errorCode: error.errorCode, code: error.code, status: error.status };
      this.steps.push({ step: name, error: this.plain(seen) });
      console.error(`${name}: ${error.stack}`);
      return undefined;
    }
  }

  plain(value) {
    let text = JSON.stringify(value);
    for (const host of this.hosts) text = text.replaceAll(host, "HOST");
    text = text.replace(TIME, "TIME").replace(ID, (id) => {
      const key = id.toLowerCase().slice(0, 15);
      if (!this.ids.has(key)) this.ids.set(key, `id-${this.ids.size + 1}`);
      return this.ids.get(key);
    });
    return JSON.parse(text);
  }

  write() {
    process.stdout.write(JSON.stringify(this.steps, null, 1));
  }
}
