/** The page of one garment: prices, and its picture in large. */

import { writePrices } from "./prices.js";
import { wireZoom } from "./zoom.js";

writePrices(document);
wireZoom(document.querySelector("[data-zoom]"), document.querySelector("[data-zoom-view]"));
