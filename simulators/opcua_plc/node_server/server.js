// A server that nobody here wrote: node-opcua. Items item.0 .. item.N-1 in urn:example:node count up, all together, RATE times a second; the
// value is the number of the tick and the source time is the tick's own, so that what must arrive is known without a log.
// Arguments: port, items, rate per second, state file (the count goes on over a restart), "user" to ask for a name and a password,
// "alarm" for an alarm of node-opcua's own on the variable "level", which follows the numbers on stdin; last, JSON of what is otherwise: options
// of OPCUAServer, and of ours "pad" (characters added to each identifier), "event_ms" (a plain event each so often) and "limits" (what its
// Acknowledge says of messages).
const fs = require("fs");
const readline = require("readline");
const { OPCUAServer, Variant, DataType, StatusCodes, MessageSecurityMode, SecurityPolicy, OPCUACertificateManager } = require("node-opcua");

const [port, items, rate, state, identity, alarming, otherwise] = process.argv.slice(2);
const { pad = 0, event_ms = 0, limits, ...options } = JSON.parse(otherwise || "{}");

// An alarm above 80, which the numbers on stdin move.
function addAlarm(space, folder) {
  const level = space.addVariable({ componentOf: folder, nodeId: "s=level", browseName: "level", dataType: "Double", eventSourceOf: folder });
  level.setValueFromSource({ dataType: DataType.Double, value: 50 });
  space.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", {
    browseName: "LevelHigh", conditionName: "LevelHigh", componentOf: folder, conditionSource: level, inputNode: level, highLimit: 80,
    highHighLimit: 200, lowLimit: -10, lowLowLimit: -20,
  });
  readline.createInterface({ input: process.stdin }).on("line", (value) => {
    level.setValueFromSource({ dataType: DataType.Double, value: Number(value) });
  });
}

async function main() {
  const certificates = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: state + ".pki" });
  await certificates.initialize();
  const server = new OPCUAServer({
    port: Number(port),
    hostname: "127.0.0.1",
    serverCertificateManager: certificates,
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.SignAndEncrypt],
    allowAnonymous: identity !== "user",
    userManager: { isValidUser: (name, password) => name === "ebr" && password === "secret" },
    serverInfo: { applicationUri: "urn:example:node-server" },
    ...(limits ? { transportSettings: { adjustTransportLimits: () => limits } } : {}),
    ...options,
    serverCapabilities: { minSupportedSampleRate: 0, maxSubscriptions: 100, maxMonitoredItems: 100000, ...options.serverCapabilities },
  });
  await server.initialize();
  const space = server.engine.addressSpace.registerNamespace("urn:example:node");
  const folder = space.addFolder("ObjectsFolder", { browseName: "Items" });
  const variables = [];
  for (let i = 0; i < Number(items); i++) {
    variables.push(space.addVariable({
      componentOf: folder,
      nodeId: `s=item.${"x".repeat(pad)}${i}`,
      browseName: `item.${i}`,
      dataType: "Double",
      minimumSamplingInterval: 0,
      value: new Variant({ dataType: DataType.Double, value: 0 }),
    }));
  }
  if (alarming === "alarm") {
    server.engine.addressSpace.installAlarmsAndConditionsService();
    addAlarm(space, folder);
  }
  await server.start();
  if (event_ms) {
    setInterval(() => server.raiseEvent("BaseEventType", {
      message: { dataType: DataType.LocalizedText, value: { text: "recipe loaded" } },
      severity: { dataType: DataType.UInt16, value: 400 },
    }), event_ms);
  }
  let tick = fs.existsSync(state) ? Number(fs.readFileSync(state, "utf8")) : 0;
  console.log("ready");
  const period = 1000 / Number(rate);
  let due = performance.now();
  const step = () => {
    tick += 1;
    fs.writeFileSync(state, String(tick));
    const now = new Date();
    for (const variable of variables) {
      variable.setValueFromSource({ dataType: DataType.Double, value: tick }, StatusCodes.Good, now);
    }
    const at = performance.now();
    due = Math.max(due + period, at - 1000); // an absolute grid: setInterval would be a millisecond late each time
    setTimeout(step, Math.max(due - at, 0));
  };
  step();
}

main();
