export {
  type CallHead,
  CallMessageError,
  type CallMethod,
  type CallOpen,
  encodeCallHead,
  encodeCallOpen,
  parseCallHead,
  parseCallOpen,
} from './callMessages.ts';
export {
  type ControlMessage,
  ControlMessageError,
  type ControlType,
  encodeControl,
  parseControl,
  type RefusalCode,
  refusalCodes,
} from './controlMessages.ts';
export {
  encodeFrame,
  type Frame,
  FrameError,
  type FrameErrorCode,
  type FrameType,
  frameTypes,
  parseFrame,
  type ResetCode,
  resetCodes,
} from './frame.ts';
export { FrameMux, type FrameMuxOptions, type OpenStreamOptions } from './frameMux.ts';
export type { FrameStream } from './frameStream.ts';
export { defaultFrameLimits, type FrameLimits, type FrameTimers, maxFrameBytes, maxHeaderBytes } from './limits.ts';
export { type ByteSocket, type MessageSocket, muxOverWebSocket } from './muxOverWebSocket.ts';
export { StreamError, type StreamErrorCode } from './streamError.ts';
export { verifyHello } from './verifyHello.ts';
