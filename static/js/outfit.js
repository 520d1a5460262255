import { writePrices } from "./prices.js";

writePrices(document);
