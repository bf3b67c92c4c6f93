// A peer of the reference library, as 3D Slicer and PLUS are: sends one grey image again and again, and prints what it
// is answered.  peer serve PORT RAW WIDTH HEIGHT SPACING   |   peer call PORT RAW WIDTH HEIGHT SPACING
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "igtlClientSocket.h"
#include "igtlImageMessage.h"
#include "igtlMessageHeader.h"
#include "igtlOSUtil.h"
#include "igtlPointMessage.h"
#include "igtlServerSocket.h"
#include "igtlStringMessage.h"

static void Send(igtl::Socket* socket, const char* raw, int width, int height, float spacing) {
  int size[] = {width, height, 1}, offset[] = {0, 0, 0};
  float spacings[] = {spacing, spacing, 1.0f};
  igtl::ImageMessage::Pointer image = igtl::ImageMessage::New();
  image->SetDimensions(size);
  image->SetSpacing(spacings);
  image->SetScalarType(igtl::ImageMessage::TYPE_UINT8);
  image->SetDeviceName("Image_Reference");
  image->SetSubVolume(size, offset);
  image->AllocateScalars();
  std::FILE* file = std::fopen(raw, "rb");
  if (!file || std::fread(image->GetScalarPointer(), 1, image->GetImageSize(), file) != (size_t)image->GetImageSize())
    std::exit(3);
  std::fclose(file);
  igtl::Matrix4x4 matrix;
  igtl::IdentityMatrix(matrix);
  matrix[0][3] = 10.0f;
  image->SetMatrix(matrix);
  image->Pack();
  socket->Send(image->GetPackPointer(), image->GetPackSize());
}

template <class Message>
static typename Message::Pointer Body(igtl::Socket* socket, igtl::MessageHeader::Pointer& header) {
  typename Message::Pointer message = Message::New();
  message->SetMessageHeader(header);
  message->AllocatePack();
  socket->Receive(message->GetPackBodyPointer(), message->GetPackBodySize());
  if (!(message->Unpack(1) & igtl::MessageHeader::UNPACK_BODY)) std::exit(4);
  return message;
}

static bool Receive(igtl::Socket* socket, int& seen) {
  igtl::MessageHeader::Pointer header = igtl::MessageHeader::New();
  header->InitPack();
  if (socket->Receive(header->GetPackPointer(), header->GetPackSize()) <= 0) return false;
  header->Unpack();
  if (std::strcmp(header->GetDeviceType(), "IMAGE") == 0) {
    igtl::ImageMessage::Pointer image = Body<igtl::ImageMessage>(socket, header);
    int size[3];
    float spacing[3];
    image->GetDimensions(size);
    image->GetSpacing(spacing);
    std::cout << "IMAGE " << header->GetDeviceName() << " " << size[0] << " " << size[1] << " " << image->GetNumComponents()
              << " " << spacing[0] << std::endl;
    seen |= 1;
  } else if (std::strcmp(header->GetDeviceType(), "POINT") == 0) {
    igtl::PointMessage::Pointer points = Body<igtl::PointMessage>(socket, header);
    for (int k = 0; k < points->GetNumberOfPointElement(); k++) {
      igtl::PointElement::Pointer element;
      points->GetPointElement(k, element);
      float at[3];
      element->GetPosition(at);
      std::cout << "POINT " << element->GetName() << " " << at[0] << " " << at[1] << " " << at[2] << std::endl;
    }
    seen |= 2;
  } else if (std::strcmp(header->GetDeviceType(), "STRING") == 0) {
    igtl::StringMessage::Pointer text = Body<igtl::StringMessage>(socket, header);
    std::cout << "STRING " << header->GetDeviceName() << " " << text->GetString() << std::endl;
    seen |= 4;
  } else {
    socket->Skip(header->GetBodySizeToRead(), 0);
  }
  return true;
}

int main(int count, char** words) {
  if (count != 7) return 2;
  const int port = std::atoi(words[2]), width = std::atoi(words[4]), height = std::atoi(words[5]);
  const float spacing = (float)std::atof(words[6]);
  igtl::Socket::Pointer socket;
  if (std::strcmp(words[1], "serve") == 0) {
    igtl::ServerSocket::Pointer server = igtl::ServerSocket::New();
    if (server->CreateServer(port) < 0) return 5;
    socket = server->WaitForConnection(120000);
  } else {
    igtl::ClientSocket::Pointer client = igtl::ClientSocket::New();
    for (int k = 0; k < 1200 && client->ConnectToServer("127.0.0.1", port) != 0; k++) igtl::Sleep(100);
    socket = client;
  }
  if (socket.IsNull() || !socket->GetConnected()) return 6;
  socket->SetReceiveTimeout(120000);
  int seen = 0;
  for (int k = 0; k < 60 && seen != 7; k++) {
    Send(socket, words[3], width, height, spacing);
    for (int answer = 0; answer < 3 && seen != 7; answer++)
      if (!Receive(socket, seen)) break;
  }
  socket->CloseSocket();
  return seen == 7 ? 0 : 7;
}
